"""Speed of a correction round as a ratio: ``python -m Testing.benchmarks.round_speed OUT.json``.

Our schedule against that of the authors' code (CLIS): 402 optimiser steps for proposed kernels, twice 401 for all
weights, and 50 random passes.  Everything else is ours in both: network, batches, strokes and their propagation.  As in
:mod:`.speed`: alternating pairs in one process.  Run it alone and on one thread; a pair takes some minutes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import torch
from torch import Tensor

from IncrementalSegLib.correction.user import draw_strokes
from IncrementalSegLib.engine.learn import learn
from IncrementalSegLib.engine.ready import ReadyModel
from IncrementalSegLib.engine.session.learner import STEPS, Learner, LearnerSettings
from IncrementalSegLib.engine.session.rounds import Rounds
from IncrementalSegLib.engine.sources import ScanSource
from IncrementalSegLib.inference.predictor import UNCERTAINTY_PASSES
from IncrementalSegLib.preprocessing.pipeline import forward
from IncrementalSegLib.progress import silent
from IncrementalSegLib.sampling.datasets import open_data
from IncrementalSegLib.sampling.phantom import write_phantom_dataset
from IncrementalSegLib.sampling.reading import read_case
from IncrementalSegLib.types import DeviceName
from Testing.benchmarks.bench import Bench
from Testing.benchmarks.command import run_command
from Testing.benchmarks.speed import Pair, speed_command

AUTHORS_STEPS, AUTHORS_PASSES = 402 + 2 * 401, 50
"""Optimiser steps and random passes of a round in the authors' code."""

SIZE = (1, 256, 352)
"""Voxels of the picture: those of the authors' pictures."""

AREAS = 16
"""Corrected areas of a picture, as in the paper."""


def round_pairs(bench: Bench) -> Iterator[Pair]:
    """Yield a round with our schedule over one with the authors' schedule, on one picture."""
    with TemporaryDirectory() as folder:
        yield Pair(
            f"a round of {STEPS} steps and {UNCERTAINTY_PASSES} passes / of {AUTHORS_STEPS} and {AUTHORS_PASSES}",
            *rounds(bench, Path(folder)),
            limit=1 / 20,
        )


def rounds(bench: Bench, folder: Path) -> tuple[Callable[[], object], Callable[[], object]]:
    """Return a round with our schedule, and one with the authors'.

    Args:
        bench: The device.
        folder: For a model and its scans.
    """
    write_phantom_dataset(folder / "data", 3, scanner="A", structures=["humerus"], seed=0, size=SIZE)
    model, device = folder / "model", cast(DeviceName, bench.runtime.device.type)
    learn(
        model, folder / "data", "humerus", method="clis", network="unet2d", preset="quick", steps=2, device=device,
        options={"passes": 2, "candidates": 4, "keep": 2},
    )  # fmt: skip
    ready = ReadyModel.open(model, device=device)
    case, ids = open_data(folder / "data").cases[0], ready.structures.ids
    volume, masks = read_case(case, [])
    truth = {ready.structures.named(name).id: mask for name, mask in masks.items()}
    image = forward(volume, ready.loaded.plan)[0]
    found = ready.predictor.predict(volume, ids, uncertainty=True)
    assert found.uncertainty is not None
    strokes = draw_strokes(found.uncertainty, found.mask, truth, volume.grid.steps, AREAS)

    def corrected(steps: int) -> Rounds:
        learner = Learner(ready.loaded.folder, LearnerSettings("clis"), bench.runtime, silent, ready.loaded)
        session = Rounds(ready, learner)
        session.correct(ScanSource(case.id, case.images), volume, strokes, steps)
        return session

    def ours() -> None:
        corrected(STEPS).ready.predictor.uncertainty(image, ids)

    def theirs() -> None:
        predictor = corrected(AUTHORS_STEPS).ready.predictor
        generator = torch.Generator().manual_seed(0)

        def mean(batch: Tensor) -> Tensor:
            return torch.stack([*predictor.model.monte_carlo(batch, AUTHORS_PASSES, generator, ids)]).mean(0)

        with torch.no_grad():
            predictor.run(image, mean)

    return ours, theirs


if __name__ == "__main__":
    run_command(speed_command(round_pairs))
