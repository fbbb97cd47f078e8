from __future__ import annotations

import numpy as np
import pytest

from IncrementalSegLib.errors import DataError
from IncrementalSegLib.evaluation.metrics import CaseScore, summarise
from IncrementalSegLib.reports.changes import Change
from IncrementalSegLib.reports.slices import SHOWN, SliceGrid, SliceRow, worst_slices

RNG = np.random.default_rng


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


def test_the_cases_that_lost_most_are_shown_first():
    def side(*values):
        return summarise(
            [CaseScore(f"c{n}", f"p{n}", value, None, None, 9, 9) for n, value in enumerate(values)], RNG(0)
        )

    change = Change.of("liver", "", side(0.9, 0.9, 0.9, 0.9), side(0.8, None, 0.3, 0.9), RNG(0))
    mask = np.zeros((4, 4), bool)
    rows = {("l", f"c{n}"): SliceRow(f"c{n}", mask * 1.0, mask, (mask, mask)) for n in range(4)}
    shown = worst_slices((change,), {"liver": "l"}, rows).rows
    assert len(shown) == SHOWN
    assert [row.title for row in shown] == ["liver, c1", "liver, c2", "liver, c0"]
    assert [row.notes for row in shown] == [
        ("whole scan: 0.90", ""),
        ("whole scan: 0.90", "whole scan: 0.30"),
        ("whole scan: 0.90", "whole scan: 0.80"),
    ]
    del rows["l", "c2"]
    assert [row.title for row in worst_slices((change,), {"liver": "l"}, rows).rows] == ["liver, c1", "liver, c0"]
