"""Speed of generated heads as ratios: ``python -m Testing.benchmarks.generated_speed OUT.json``.

As in :mod:`.speed`: the median of alternating pairs in one process, with quartiles.  Run it alone and on one thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from Testing.benchmarks.bench import Bench
from Testing.benchmarks.command import run_command
from Testing.benchmarks.speed import Pair, speed_command

METHODS = ("dodnet", "clip-driven")
_MANY, _SOME = 50, 8


def generated_pairs(bench: Bench) -> Iterator[Pair]:
    """Yield many structures over one, passes one by one over one pass, and a training step over one with heads."""
    for method in METHODS:
        yield Pair(f"{method}: {_MANY} structures / 1", scores(bench, method, _MANY), scores(bench, method, 1))
    alone, together = scores(bench, "dodnet", _SOME, one_by_one=True), scores(bench, "dodnet", _SOME)
    yield Pair(f"dodnet: {_SOME} structures one by one / together", alone, together)
    heads = bench.step("lwfseg", old=1, new=6)
    for method in METHODS:
        yield Pair(f"{method} step / lwfseg step", bench.step(method, old=1, new=6).update, heads.update)


def scores(bench: Bench, method: str, count: int, *, one_by_one: bool = False) -> Callable[[], Tensor]:
    """Return a pass for the logits of some structures, or a pass for each as in DoDNet's own code."""
    model = bench.model([f"{number:032x}" for number in range(count)], method)
    slices = bench.cases(())[0].image.transpose(0, 1).float()[:8]
    image = bench.runtime.layout(slices, model)
    asked = [[structure] for structure in model.structures] if one_by_one else [list(model.structures)]

    def run() -> Tensor:
        with torch.no_grad(), bench.runtime.autocast():
            return torch.cat([model(image, structures).logits for structures in asked], dim=1)

    return run


if __name__ == "__main__":
    run_command(speed_command(generated_pairs))
