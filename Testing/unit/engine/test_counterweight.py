"""Strokes of one side get the other one from where the version in use is sure."""

import numpy as np
import pytest

from IncrementalSegLib.engine.session.counterweight import counterweight

SHAPE = (1, 64, 64)
MM = (1.0, 1.0, 1.0)


@pytest.fixture
def likely():
    """Two structures that are found for sure, and a part that is not."""
    found = np.full((2, *SHAPE), 0.02, np.float32)
    found[0, :, 4:24, 4:60] = 0.97
    found[1, :, 40:60, 4:30] = 0.97
    found[1, :, 40:60, 30:60] = 0.6
    return found


def strokes(background=(), structure=()):
    painted, known = np.zeros((2, *SHAPE), bool), np.zeros(SHAPE, bool)
    for row, column in background:
        known[0, row, column : column + 8] = True
    for row, column in structure:
        painted[0, 0, row, column : column + 8] = known[0, row, column : column + 8] = True
    return painted, known


def everywhere():
    return np.ones(SHAPE, bool)


def test_strokes_of_the_background_get_voxels_of_each_structure(likely):
    painted, known = strokes(background=[(14, 10)])
    chosen, there = counterweight(likely, painted, known, everywhere(), MM)
    assert chosen.sum() == known.sum() == there.sum()
    assert (there[0].sum(), there[1].sum()) == (4, 4)
    assert not (there & (likely < 0.9)).any()


def test_strokes_of_a_structure_get_voxels_of_the_background(likely):
    painted, known = strokes(structure=[(30, 10)])
    chosen, there = counterweight(likely, painted, known, everywhere(), MM)
    assert (chosen.sum(), there.sum()) == (known.sum(), 0)
    assert not (chosen & (likely > 0.1).any(axis=0)).any()


def test_what_is_near_a_stroke_or_outside_of_the_crops_is_in_question(likely):
    painted, known = strokes(background=[(14, 10)])
    near = everywhere()
    near[:, :, 40:] = False
    chosen, _ = counterweight(likely, painted, known, near, MM)
    rows, columns = np.nonzero(chosen[0])
    distance = [np.hypot(row - 14, max(10 - column, column - 17, 0)) for row, column in zip(rows, columns, strict=True)]
    assert min(distance) > 4
    assert columns.max() < 40


def test_strokes_of_both_sides_and_a_version_that_is_not_sure_add_nothing(likely):
    assert not counterweight(likely, *strokes([(14, 10)], [(30, 10)]), everywhere(), MM)[0].any()
    assert not counterweight(np.full_like(likely, 0.5), *strokes([(14, 10)]), everywhere(), MM)[0].any()
