"""Strokes spread to what looks alike, and to nothing else."""

import numpy as np
import pytest

from IncrementalSegLib.correction.propagation import propagate

pytest.importorskip("skimage")

SHAPE = (4, 48, 48)
MM = (1.0, 1.0, 1.0)
FARTHER = 5  # times as many voxels as were painted


@pytest.fixture
def scene(rng):
    """A bright square that the model is unsure of, and one far away that it finds: image, probability, squares."""
    image = rng.normal(0, 0.03, size=(1, *SHAPE)).astype(np.float32)
    missed, found = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
    missed[:, 6:16, 6:16] = True
    found[:, 34:44, 34:44] = True
    image[0][missed | found] += 1
    probability = np.full((1, *SHAPE), 0.02, np.float32)
    probability[0][missed], probability[0][found] = 0.42, 0.97
    return image, probability, missed, found


def nothing():
    return np.zeros((1, *SHAPE), bool), np.zeros(SHAPE, bool)


@pytest.mark.parametrize("exclusive", [True, False])
def test_without_strokes_nothing_changes(scene, exclusive):
    image, probability, *_ = scene
    assert np.array_equal(propagate(image, MM, probability, *nothing(), [exclusive]), probability)


@pytest.mark.parametrize("exclusive", [True, False])
def test_a_stroke_fills_what_looks_like_it_and_stops_at_the_edge(scene, exclusive):
    image, probability, missed, found = scene
    painted, background = nothing()
    painted[0, 1:3, 8:14, 10] = True
    result = propagate(image, MM, probability, painted, background, [exclusive])
    assert (result[0][missed] >= 0.5).sum() > FARTHER * painted.sum()
    assert not (result[0][~missed & ~found] >= 0.5).any()
    assert np.array_equal(result[0][found], probability[0][found])  # far away not a bit changes
    assert not (probability[0][missed] >= 0.5).any()


@pytest.mark.parametrize("exclusive", [True, False])
def test_a_stroke_of_the_background_removes_what_was_found_wrongly(scene, exclusive):
    image, probability, _, found = scene
    painted, background = nothing()
    probability[0][found] = 0.58
    background[1:3, 36:42, 39] = True
    result = propagate(image, MM, probability, painted, background, [exclusive])
    assert (result[0][found] < 0.5).sum() > FARTHER * background.sum()


@pytest.mark.parametrize("exclusive", [True, False])
def test_a_stroke_of_another_structure_says_that_this_one_is_not_there(scene, exclusive):
    image, probability, missed, _ = scene
    both = np.concatenate([probability, np.full((1, *SHAPE), 0.01, np.float32)])
    both[0][missed], both[1][missed] = 0.5, 0.42
    painted = np.zeros((2, *SHAPE), bool)
    painted[1, 1:3, 8:14, 10] = True
    result = propagate(image, MM, both, painted, np.zeros(SHAPE, bool), [exclusive] * 2)
    assert (result[1][missed] > result[0][missed]).sum() > FARTHER * painted.sum()
    assert result.min() >= 0
    assert result.max() <= 1
    if exclusive:
        assert (result.sum(axis=0) <= 1 + 1e-5).all()


def test_a_structure_beside_those_that_exclude_each_other_is_decided_alone(scene):
    """The stroke of a structure with a group of its own is background of the others; theirs leave it as it is alone."""
    image, probability, missed, _ = scene
    three = np.concatenate([probability, np.full((1, *SHAPE), 0.01, np.float32), probability])
    painted = np.zeros((3, *SHAPE), bool)
    painted[1, 1:3, 8:14, 10] = True
    none = np.zeros(SHAPE, bool)
    result = propagate(image, MM, three, painted, none, [True, True, False])
    assert np.array_equal(result[:2], propagate(image, MM, three[:2], painted[:2], none, [True, True]))
    assert np.array_equal(result[2:], propagate(image, MM, three[2:], painted[2:], painted[1], [False]))
    painted[:] = painted[[0, 2, 1]]  # now of the third
    result = propagate(image, MM, three, painted, none, [True, True, False])
    assert np.array_equal(result[:2], propagate(image, MM, three[:2], painted[:2], painted[2], [True, True]))
    assert (result[2][missed] >= 0.5).sum() > FARTHER * painted.sum()


def test_a_picture_is_corrected_too(scene):
    image, probability, missed, _ = (part[..., 2:3, :, :] for part in scene)
    painted = np.zeros(probability.shape, bool)
    painted[0, 0, 8:14, 10] = True
    result = propagate(image, MM, probability, painted, np.zeros(probability.shape[1:], bool), [True])
    assert (result[0][missed] >= 0.5).sum() > FARTHER * painted.sum()
