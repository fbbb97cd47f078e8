"""Speed as ratios: ``python -m Testing.benchmarks.speed OUT.json``, for the class family with ``--classes``.

Each figure is the median of alternating pairs in one process, with quartiles; memory is what the backward pass keeps,
counted exactly.  Run it alone and on one thread (``OMP_NUM_THREADS=1``).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from torch import Tensor

from IncrementalSegLib.cli.output import Device, print_table, progress_bar
from IncrementalSegLib.engine.runtime import Runtime, start
from IncrementalSegLib.exemplars.content import content_distances
from IncrementalSegLib.exemplars.coverage import cover_by_similarity
from IncrementalSegLib.files import write_json
from IncrementalSegLib.inference.predictor import Predictor
from IncrementalSegLib.losses.classes import unbiased_cross_entropy, unbiased_distillation
from IncrementalSegLib.networks.vgg import VGG
from IncrementalSegLib.progress import Progress, silent
from IncrementalSegLib.types import DeviceName, Json
from Testing.benchmarks.bench import Bench
from Testing.benchmarks.command import run_command
from Testing.benchmarks.protocols.pcdd2026 import FIRST
from Testing.benchmarks.timing import compare
from Testing.benchmarks.variants import family

REFERENCE = "mib"
"""Method of the class family that the others are compared with."""

LIMITS = {"pcdd": 1.25}


@dataclass(frozen=True)
class Pair:
    """Two pieces of work to be timed against each other.

    Attributes:
        name: What is compared.
        one: The first.
        other: The second.
        limit: Largest ratio that is asked for.
        losses: Both losses, where the memory of their backward passes is compared too.
    """

    name: str
    one: Callable[[], object]
    other: Callable[[], object]
    limit: float | None = None
    losses: tuple[Callable[[], Tensor], Callable[[], Tensor]] | None = None


def main(
    out: Annotated[Path, typer.Argument(metavar="FILE", help="JSON file to write.")],
    classes: Annotated[bool, typer.Option("--classes", help="A step of each class method beside MiB's.")] = False,
    pairs: Annotated[int, typer.Option(min=1, metavar="N", help="Alternating pairs of each figure.")] = 15,
    device: Device = "auto",
) -> None:
    """Measure speed as ratios; run it alone, with OMP_NUM_THREADS=1 on a CPU."""
    with progress_bar() as progress:
        report(out, measure(device, pairs, progress, classes=classes))


def measure(
    device: DeviceName = "auto", pairs: int = 15, progress: Progress = silent, *, classes: bool = False
) -> Json:
    """Return what :func:`ratios` does for the heads, or for the class family."""
    bench = Bench(start(device))
    return ratios(bench.runtime, class_pairs(bench) if classes else head_pairs(bench), pairs, progress)


def speed_command(pairs_of: Callable[[Bench], Iterable[Pair]]) -> Callable[..., None]:
    """Return a command that measures the pairs of another family."""

    def main(
        out: Annotated[Path, typer.Argument(metavar="FILE", help="JSON file to write.")],
        pairs: Annotated[int, typer.Option(min=1, metavar="N", help="Alternating pairs of each figure.")] = 15,
        device: Device = "auto",
    ) -> None:
        """Measure speed as ratios; run it alone, with OMP_NUM_THREADS=1 on a CPU."""
        bench = Bench(start(device))
        with progress_bar() as progress:
            report(out, ratios(bench.runtime, pairs_of(bench), pairs, progress))

    return main


def ratios(runtime: Runtime, timed: Iterable[Pair], pairs: int, progress: Progress = silent) -> Json:
    """Time pairs against each other and return ``{"device", "precision", "threads", "torch", "ratios"}``."""
    found: list[Json] = []
    for pair in timed:
        progress(f"Measuring {pair.name}", 0.0)
        ratio = compare(pair.name, pair.one, pair.other, pairs, pair.limit).to_json()
        if pair.losses is not None:
            one, other = map(kept_bytes, pair.losses)
            ratio["memory"] = round(one / other, 3)
        found.append(ratio)
    return {
        "device": runtime.name,
        "precision": runtime.precision,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "ratios": found,
    }


def report(out: Path, result: Json) -> None:
    """Write the ratios and print them."""
    write_json(out, result)
    rows = [
        (row["name"], row["median"], "{} to {}".format(*row["quartiles"]), row["limit"], row.get("memory"))
        for row in result["ratios"]
    ]
    columns = ("ratio", "median", "quartiles", "limit", "memory")
    print_table(f"{result['device']}, {result['precision']}", columns, rows)


def head_pairs(bench: Bench) -> Iterator[Pair]:
    """Yield what is timed with heads: a step, inference, dropout, and the choice of exemplars."""
    runtime, device = bench.runtime, bench.runtime.device
    finetune, lwfseg = bench.step("finetune"), bench.step("lwfseg")
    limit = 1.5 if device.type == "cpu" else 1.4
    yield Pair("lwfseg step / finetune step", lwfseg.update, finetune.update, limit)

    model = bench.model([f"{index:032x}" for index in range(8)])
    predictor = Predictor(model, bench.plan, device, runtime.autocast)
    whole = bench.cases(())[0].image
    found = partial(predictor.probabilities, whole)
    yield Pair(
        "inference with 8 heads / 1 head",
        lambda: found(model.structures),
        lambda: found(model.structures[:1]),
        1.1,
    )

    slices = runtime.layout(whole.transpose(0, 1).float()[:8], model)

    def passes(count: int, seed: int) -> list[Tensor]:
        return list(model.monte_carlo(slices, count, torch.Generator().manual_seed(seed)))

    yield Pair(
        "29 dropout passes, half shared / naive", lambda: passes(29, 0), lambda: [passes(1, seed) for seed in range(29)]
    )
    similarity = np.random.default_rng(0).random((50, 10_000), dtype=np.float32)
    yield Pair(
        "greedy coverage, 10,000 slices / 0.3 s",
        lambda: cover_by_similarity(similarity, 30),
        lambda: time.sleep(0.3),
        1.0,
    )
    yield _content(bench)


def class_pairs(bench: Bench) -> Iterator[Pair]:
    """Yield a step of each class method beside the reference, and the unbiased losses beside their plain form."""
    for name in family(FIRST):
        if name != REFERENCE:
            one, other = bench.step(name, 4, 2), bench.step(REFERENCE, 4, 2)
            title = f"{name} step / {REFERENCE} step"
            yield Pair(title, one.update, other.update, LIMITS.get(name), (one.loss, other.loss))
    for title, fused, plain in losses(bench.runtime.device):
        yield Pair(title, partial(_backward, fused), partial(_backward, plain), None, (fused, plain))


def losses(device: torch.device) -> list[tuple[str, Callable[[], Tensor], Callable[[], Tensor]]]:
    """Return both unbiased losses and their plain forms on random logits (8, 9, 128, 128)."""
    random = torch.Generator().manual_seed(0)
    logits = torch.randn(8, 9, 128, 128, generator=random).to(device).requires_grad_()
    teacher = torch.randn(8, 7, 128, 128, generator=random).to(device)
    target = torch.randint(0, 3, (8, 128, 128), generator=random).to(device)
    target = torch.where(target > 0, target + 6, target)  # the last two columns are new
    valid = torch.ones_like(target, dtype=torch.bool)
    hidden = torch.zeros(8, 9, dtype=torch.bool, device=device)
    hidden[:, :7] = True
    own = list(range(1, 7))

    def plain_cross_entropy() -> Tensor:
        probability = logits.softmax(1)
        merged = torch.cat([probability[:, :7].sum(1, keepdim=True), probability[:, 7:]], dim=1)
        return -merged.gather(1, (target - 6).clamp_min(0).unsqueeze(1)).log().mean()

    def plain_distillation() -> Tensor:
        probability, previous = logits.softmax(1), teacher.softmax(1)
        merged = torch.cat([probability[:, [0, 7, 8]].sum(1, keepdim=True), probability[:, 1:7]], dim=1)
        return -(previous * merged.log()).sum(1).mean() / 7

    cross_entropy = partial(unbiased_cross_entropy, logits, target, hidden, valid)
    distillation = partial(unbiased_distillation, logits, teacher, own, own, valid)
    return [
        ("unbiased cross-entropy, fused / plain", cross_entropy, plain_cross_entropy),
        ("unbiased distillation, fused / plain", distillation, plain_distillation),
    ]


def kept_bytes(loss: Callable[[], Tensor]) -> int:
    """Return the bytes that the backward pass of a loss keeps, each storage once."""
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        held = loss()  # noqa: F841  (alive, so that no storage is counted under the address of another)
    return sum(kept.values())


def _backward(loss: Callable[[], Tensor]) -> None:
    loss().backward()


def _content(bench: Bench) -> Pair:
    """Return content distances by streamed Gram products over holding all features."""
    device = bench.runtime.device
    describe = _UntrainedVGG(device)
    images = torch.cat([case.image.transpose(0, 1) for case in bench.cases(())])[::2].float()
    candidates = list(range(0, len(images), 5))

    @torch.no_grad()
    def direct() -> None:
        features = [describe(images[first : first + 8].to(device)) for first in range(0, len(images), 8)]
        for layer in range(len(features[0])):
            flat = torch.cat([maps[layer] for maps in features]).flatten(1)
            for candidate in candidates:
                (flat - flat[candidate]).square().mean(1)

    def streamed() -> object:
        return content_distances(describe, images.__getitem__, len(images), candidates, device)

    return Pair("content distance by Gram products / direct", streamed, direct)


class _UntrainedVGG:
    """All convolutions of VGG16; how long they take does not depend on the weights."""

    planar = True
    version = "vgg16, untrained"

    def __init__(self, device: torch.device) -> None:
        self.network = VGG(16).eval().to(device)

    def __call__(self, image: Tensor) -> list[Tensor]:
        maps: list[Tensor] = self.network(image.expand(-1, 3, -1, -1))
        return maps


if __name__ == "__main__":
    run_command(main)
