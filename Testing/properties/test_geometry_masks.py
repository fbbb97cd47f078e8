"""However a scan is stored, the mask lies at the same place in the patient: real files, real networks."""

import functools
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scans import ORDERS, image_of, stored
from scipy.spatial.transform import Rotation
from tiny import CPU, DISC, WIDTHS, segmenter, shaken

from IncrementalSegLib.inference.predictor import Predictor
from IncrementalSegLib.preprocessing.plan import Plan
from IncrementalSegLib.volumes.io import read_volume
from IncrementalSegLib.volumes.volume import Grid, Volume

SHAPE = (7, 11, 13)
VIEWS = ("SPL", "LIP", "PIL")

angles = st.tuples(*[st.floats(-35, 35)] * 3)
spacings = st.tuples(*[st.floats(0.7, 2.5)] * 3)
orders = st.sampled_from(ORDERS)


@functools.cache
def predictor(dimension: int, view: str) -> Predictor:
    """Return a network with random weights, whose masks are neither empty nor full."""
    model = segmenter((DISC,), seed=3, network=f"unet{dimension}d", widths=WIDTHS, dropout=0.0)
    shaken(model)
    plan = Plan(
        dimension=dimension, planar=False, channels=1, orientation=view,
        spacing=(None if dimension == 2 else 1.3, 1.1, 1.2), patch=(1 if dimension == 2 else 8, 8, 8), multiple=4,
        shape=(8, 8, 8),
    )  # fmt: skip
    return Predictor(model, plan, CPU)


def grid_for(spacing, turns) -> Grid:
    matrix = Rotation.from_euler("xyz", turns, degrees=True).as_matrix()
    return Grid(SHAPE, spacing, (11.0, -7.0, 5.0), tuple(matrix.ravel()))


def scan(seed: int) -> np.ndarray:
    rough = torch.from_numpy(np.random.default_rng(seed).normal(100, 30, (1, 1, 4, 5, 6)).astype(np.float32))
    return torch.nn.functional.interpolate(rough, SHAPE, mode="trilinear")[0, 0].numpy()


def probability(model: Predictor, volume: Volume) -> np.ndarray:
    return model.predict(volume, (DISC,), probability=True).probability[DISC]


def mask(model: Predictor, volume: Volume) -> np.ndarray:
    return model.predict(volume, (DISC,)).mask[DISC].astype(np.uint8)


@pytest.mark.parametrize("dimension", [2, 3])
def test_the_masks_of_these_networks_say_something(dimension):
    found = mask(predictor(dimension, "SPL"), Volume(scan(0)[None], grid_for((1, 1, 1), (0, 0, 0))))
    assert 0.05 < found.mean() < 0.95
    turned = mask(predictor(dimension, "SPL"), Volume(scan(0)[None, :, ::-1].copy(), grid_for((1, 1, 1), (0, 0, 0))))
    assert (turned[:, ::-1] != found).any()  # the network itself is not blind to direction


@pytest.mark.parametrize("dimension", [2, 3])
@given(order=orders, turns=angles, spacing=spacings, view=st.sampled_from(VIEWS), seed=st.integers(0, 9))
@settings(max_examples=20)
def test_flips_and_turns_of_array_and_header_together_keep_the_mask_in_space(
    dimension, order, turns, spacing, view, seed
):
    grid, array, model = grid_for(spacing, turns), scan(seed), predictor(dimension, view)
    expected, expected_grid = stored(mask(model, Volume(array[None], grid)), grid, *order)
    other, other_grid = stored(array, grid, *order)
    assert expected_grid == other_grid
    np.testing.assert_array_equal(mask(model, Volume(other[None], other_grid)), expected)


@pytest.mark.parametrize("ending", ["nii.gz", "nrrd", "mha"])
@given(order=orders, turns=angles, view=st.sampled_from(VIEWS))
@settings(max_examples=8)
def test_so_they_do_through_files(ending, order, turns, view):
    grid, array, model = grid_for((1.0, 0.75, 2.0), turns), scan(1), predictor(2, view)
    with TemporaryDirectory() as folder:
        expected = written(array, grid, Path(folder) / f"a.{ending}")
        other = written(*stored(array, grid, *order), Path(folder) / f"b.{ending}")
    moved, _ = stored(mask(model, expected), grid, *order)
    np.testing.assert_array_equal(mask(model, other), moved)


@pytest.mark.parametrize("dimension", [2, 3])
@given(turns=st.tuples(*[st.floats(-180, 180)] * 3), view=st.sampled_from(VIEWS), origin=st.floats(-500, 500))
@settings(max_examples=20)
def test_a_rotated_header_counts_as_its_nearest_right_angles(dimension, turns, view, origin):
    """The samples stay as they are: of the header only the anatomical axes count that its axes lie next to."""
    model, array = predictor(dimension, view), scan(2)
    grid = grid_for((1.0, 1.0, 1.0), turns)
    moved = Grid(SHAPE, grid.spacing, (origin, 0.0, -origin), grid.direction)
    nearest = Grid(SHAPE, grid.spacing, grid.origin, tuple(upright(grid.matrix).ravel()))
    expected = probability(model, Volume(array[None], nearest))
    np.testing.assert_array_equal(probability(model, Volume(array[None], moved)), expected)


@pytest.mark.parametrize("order", ORDERS)
def test_a_tie_between_two_axes_is_broken_alike_however_the_scan_is_stored(order):
    grid, array, model = grid_for((1.0, 1.0, 1.0), (0, 0, 45)), scan(4), predictor(2, "LIP")
    expected, _ = stored(mask(model, Volume(array[None], grid)), grid, *order)
    other, other_grid = stored(array, grid, *order)
    np.testing.assert_array_equal(mask(model, Volume(other[None], other_grid)), expected)


def written(array: np.ndarray, grid: Grid, path: Path) -> Volume:
    """Return what is read again of an array that SimpleITK has written."""
    sitk.WriteImage(image_of(array, grid), str(path))
    return read_volume(path)


def upright(matrix: np.ndarray) -> np.ndarray:
    """Return the signed permutation that shares most with a rotation, by trying all."""
    signed = [np.eye(3)[:, list(axes)] * np.where(flips, -1, 1) for axes, flips in ORDERS]
    return max(signed, key=lambda candidate: float((candidate * matrix).sum()))
