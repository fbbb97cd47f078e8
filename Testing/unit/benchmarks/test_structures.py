"""Cost of structures: both sides of a pair do the same work, and every pair can be run."""

from __future__ import annotations

import pytest
import torch

from IncrementalSegLib.engine.runtime import start
from Testing.benchmarks.speed import Bench
from Testing.benchmarks.structures import ids, run, structure_pairs


def test_passes_one_by_one_give_what_one_pass_gives() -> None:
    model = Bench(start("cpu")).model(ids(3), "dodnet")
    image = torch.randn(1, 1, 32, 32)
    torch.testing.assert_close(run(model, image, one_by_one=True), run(model, image))


@pytest.mark.slow
def test_every_pair_runs() -> None:
    names = []
    for pair in structure_pairs(Bench(start("cpu"))):
        pair.one()
        pair.other()
        names.append(pair.name)
    assert len(names) == 10
