"""Cost of many structures as ratios, by form of output: ``python -m Testing.benchmarks.structures OUT.json``.

Inference on slices of 128 x 128 with the network of the preset quick, and a training step that teaches six structures
to a model of one.  Run it alone and on one thread (``OMP_NUM_THREADS=1``).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Annotated

import torch
import typer

from IncrementalSegLib.cli.output import Device, print_table, progress_bar
from IncrementalSegLib.engine.runtime import start
from IncrementalSegLib.files import write_json
from IncrementalSegLib.networks.segmenter import Segmenter
from Testing.benchmarks.command import run_command
from Testing.benchmarks.speed import Bench, Pair
from Testing.benchmarks.timing import compare

METHODS = ("finetune", "mib", "cfil", "dodnet", "clip-driven")
"""One of each form of output."""

DISTILLING = "lwfseg"
"""Method of plain heads that runs the previous model in a step, as the others do."""

LIMITS = {"cfil": (1.10, 1.25)}
"""Largest ratio at inference and of a training step."""

_MANY, _SOME = 50, 8


def main(
    out: Annotated[Path, typer.Argument(metavar="FILE", help="JSON file to write.")],
    pairs: Annotated[int, typer.Option(min=1, metavar="N", help="Alternating pairs of each figure.")] = 15,
    device: Device = "auto",
) -> None:
    """Measure what structures cost; run it alone, with OMP_NUM_THREADS=1 on a CPU."""
    bench, ratios = Bench(start(device)), []
    with progress_bar() as progress:
        for pair in structure_pairs(bench):
            progress(f"Measuring {pair.name}", 0.0)
            ratios.append(compare(pair.name, pair.one, pair.other, pairs, pair.limit).to_json())
    write_json(out, {"device": bench.runtime.name, "threads": torch.get_num_threads(), "ratios": ratios})
    rows = [(row["name"], row["median"], "{} to {}".format(*row["quartiles"]), row["limit"]) for row in ratios]
    print_table(bench.runtime.name, ("ratio", "median", "quartiles", "limit"), rows)


def structure_pairs(bench: Bench) -> Iterator[Pair]:
    """Yield inference with many structures and one, passes one by one, and steps against that of plain heads."""
    image = torch.randn(4, 1, 128, 128, generator=torch.Generator().manual_seed(0)).to(bench.runtime.device)
    for method in METHODS:
        many, one = (bench.model(ids(count), method) for count in (_MANY, 1))
        limit, _ = LIMITS.get(method, (None, None))
        yield Pair(f"{method}: {_MANY} structures / 1", partial(run, many, image), partial(run, one, image), limit)
    some = bench.model(ids(_SOME), "dodnet")
    yield Pair(
        f"dodnet: {_SOME} structures one by one / together",
        partial(run, some, image, one_by_one=True),
        partial(run, some, image),
    )
    plain = bench.step(DISTILLING, old=1, new=6)
    for method in METHODS[1:]:
        _, limit = LIMITS.get(method, (None, None))
        yield Pair(f"step of {method} / {DISTILLING}", bench.step(method, old=1, new=6).update, plain.update, limit)


def ids(count: int) -> list[str]:
    """Return identifiers of structures."""
    return [f"{number:032x}" for number in range(count)]


@torch.no_grad()
def run(model: Segmenter, image: torch.Tensor, *, one_by_one: bool = False) -> torch.Tensor:
    """Return the logits of all structures, in one pass or in a pass for each as DoDNet does."""
    if not one_by_one:
        return model(image).logits  # type: ignore[no-any-return]
    return torch.cat([model(image, (structure,)).logits for structure in model.structures], dim=1)


if __name__ == "__main__":
    run_command(main)
