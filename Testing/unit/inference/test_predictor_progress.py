"""A long prediction can be ended at any window, slice or pass."""

import numpy as np
import pytest
from tiny import CPU, DISC, SQUARE, plan, segmenter

from IncrementalSegLib.inference.predictor import Predictor
from IncrementalSegLib.progress import Share, Stop
from IncrementalSegLib.volumes.volume import Grid, Volume


def predictor(dimension, batch=2):
    return Predictor(segmenter(network=f"unet{dimension}d"), plan(dimension), CPU, batch=batch)


def scan(shape):
    values = np.random.default_rng(0).normal(size=(1, *shape)).astype(np.float32)
    return Volume(values, Grid(shape, (1.0, 1.0, 1.0), (0.0, 0.0, 0.0)))


@pytest.mark.parametrize(
    ("dimension", "shape"), [(2, (9, 32, 32)), (3, (8, 16, 16)), (3, (17, 40, 35)), (3, (4, 8, 90))]
)
@pytest.mark.parametrize("uncertainty", [False, True])
def test_progress_rises_in_small_parts_to_one(dimension, shape, uncertainty):
    seen = []
    predictor(dimension).predict(scan(shape), [DISC], uncertainty=uncertainty, progress=Share(seen.append))
    assert seen == sorted(seen)
    assert seen[-1] == pytest.approx(1.0)
    if shape != (8, 16, 16):
        assert len(seen) >= 4


@pytest.mark.parametrize("dimension", [2, 3])
def test_what_progress_raises_ends_the_prediction_and_leaves_a_predictor_that_works(dimension):
    tool, volume = predictor(dimension), scan((16, 40, 40))
    before = tool.predict(volume)

    def end(fraction):
        if fraction > 0.3:
            raise Stop("discard")

    for uncertainty in (False, True):
        with pytest.raises(Stop):
            tool.predict(volume, [DISC, SQUARE], uncertainty=uncertainty, progress=Share(end))
    after = tool.predict(volume)
    assert all(np.array_equal(before.mask[item], after.mask[item]) for item in before.mask)
