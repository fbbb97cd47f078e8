"""Speed of the embedding family as ratios: ``python -m Testing.benchmarks.embedding_speed OUT.json``.

As in :mod:`.speed`: the median of alternating pairs in one process, with quartiles.  Run it alone and on one thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor

from IncrementalSegLib.inference.predictor import Predictor
from IncrementalSegLib.networks.outputs.embedding import Embedding
from IncrementalSegLib.networks.segmenter import Segmenter
from IncrementalSegLib.networks.text import seeded_embedding
from Testing.benchmarks.bench import Bench
from Testing.benchmarks.command import run_command
from Testing.benchmarks.speed import Pair, speed_command

MANY = 50
"""Structures of the large model."""


def embedding_pairs(bench: Bench) -> Iterator[Pair]:
    """Yield many structures over one, at inference, and a training step over one with heads."""
    one, many = known(bench, 1), known(bench, MANY)
    image = bench.cases(())[0].image
    slices = bench.runtime.layout(image.transpose(0, 1).float()[:8], one)

    def scores(model: Segmenter) -> Callable[[], Tensor]:
        def run() -> Tensor:
            with torch.no_grad(), bench.runtime.autocast():
                logits: Tensor = model(slices).logits
            return logits

        return run

    yield Pair(f"cosines with {MANY} structures / 1", scores(many), scores(one), 1.1)
    maps = [
        partial(Predictor(model, bench.plan, bench.runtime.device, bench.runtime.autocast).probabilities, image)
        for model in (many, one)
    ]
    yield Pair(f"maps of {MANY} structures / 1", partial(maps[0], many.structures), partial(maps[1], one.structures))
    cfil, heads, classes = bench.step("cfil"), bench.step("lwfseg"), bench.step("mib")
    yield Pair("cfil step / lwfseg step", cfil.update, heads.update, 1.25, (cfil.loss, heads.loss))
    yield Pair("cfil step / mib step", cfil.update, classes.update, None, (cfil.loss, classes.loss))


def known(bench: Bench, count: int) -> Segmenter:
    """Return a model of the embedding family that knows so many structures."""
    model = bench.model([f"{number:032x}" for number in range(count)], "cfil")
    assert isinstance(model.output, Embedding)
    for structure in model.structures:
        model.output.orient(structure, seeded_embedding(structure))
    return model


if __name__ == "__main__":
    run_command(speed_command(embedding_pairs))
