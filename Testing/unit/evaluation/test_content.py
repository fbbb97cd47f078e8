from __future__ import annotations

import numpy as np
import pytest

from IncrementalSegLib.errors import DataError
from IncrementalSegLib.evaluation.content import Change, SliceGrid, SliceRow
from IncrementalSegLib.evaluation.metrics import CaseScore, summarise

RNG = np.random.default_rng
SPREAD = np.linspace(-1, 1, 6)


def scored(values):
    cases = [CaseScore(f"c{index}", f"c{index}", value, 1.0, 2.0, 9, 9) for index, value in enumerate(values)]
    return summarise(cases, RNG(0))


@pytest.mark.parametrize(
    ("before", "after", "state"),
    [
        (None, [0.9], "new"),
        (None, None, "unknown"),
        ([0.9], None, "unknown"),
        ([None], [0.9], "unknown"),
        (0.8 + 0 * SPREAD, 0.9 + 0.01 * SPREAD, "higher"),
        (0.8 + 0 * SPREAD, 0.79 + 0.001 * SPREAD, "kept"),  # surely lower, but by less than 2 points
        (0.8 + 0 * SPREAD, 0.5 + 0.1 * SPREAD, "lower"),
        (0.8 + 0 * SPREAD, 0.8 + 0.2 * SPREAD, "unclear"),
        ([0.8, 0.8], [0.79, 0.79], "kept"),
        ([0.8, 0.8], [0.70, 0.79], "lower"),
    ],
)
def test_state(before, after, state):
    sides = [None if side is None else scored(side) for side in (before, after)]
    assert Change.of("femur", "lwfseg", *sides, RNG(0)).state == state


def test_change_is_paired_by_case():
    change = Change.of("femur", "", scored([0.9, 0.5, None]), scored([0.8, None, 0.1]), RNG(0))
    assert change.points == pytest.approx(-10.0)
    assert change.comparison is not None
    assert change.comparison.left_out == 2


def test_row_takes_the_largest_slice_and_the_shape_of_its_pixels():
    image, truth = RNG(0).random((2, 4, 5, 6)), np.zeros((4, 5, 6), bool)
    truth[1, 0, 0] = truth[2, :2, :2] = True
    row = SliceRow.of("a", image, truth, [None, ~truth], (3.0, 2.0, 0.5), ["", "Dice 0.00"])
    assert np.array_equal(row.image, image[0, 2])
    assert row.truth.sum() == 4
    assert row.predictions[0] is None
    assert np.array_equal(row.predictions[1], ~truth[2])
    assert row.aspect == 4.0
    assert SliceRow.of("rgb", RNG(0).random((3, 4, 5, 6)), truth, [], (1, 1, 1)).image.shape == (5, 6, 3)


def test_grid_refuses_what_does_not_fit():
    image, mask = np.zeros((4, 4)), np.zeros((4, 4), bool)
    with pytest.raises(DataError, match="0 predictions for 1 columns"):
        SliceGrid(("after",), (SliceRow("a", image, mask, ()),))
    with pytest.raises(DataError, match="same slice"):
        SliceGrid(("after",), (SliceRow("a", image, mask, (np.zeros((4, 5), bool),)),))
