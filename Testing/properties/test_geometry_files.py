"""What is written comes back at its place, and a mask that needs no resampling comes back unchanged."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scans import ORDERS, image_of, stored
from scipy.spatial.transform import Rotation

from IncrementalSegLib.preprocessing.pipeline import forward, forward_mask, inverse
from IncrementalSegLib.preprocessing.plan import Plan
from IncrementalSegLib.structures import Structure
from IncrementalSegLib.volumes.grids import difference
from IncrementalSegLib.volumes.io import read_volume, write_volume
from IncrementalSegLib.volumes.notes import Note
from IncrementalSegLib.volumes.seg_nrrd import write_seg_nrrd
from IncrementalSegLib.volumes.segmentations import read_masks
from IncrementalSegLib.volumes.volume import Grid, Volume

ENDINGS = [".nii", ".nii.gz", ".nrrd", ".mha"]
DTYPES = ["uint8", "int16", "uint16", "int32", "float32"]

sizes = st.tuples(*[st.integers(1, 7)] * 3)
seeds = st.integers(0, 2**32 - 1)


@st.composite
def grids(draw) -> Grid:
    """Draw a grid of any size, spacing, place, turn and handedness."""
    axes, flips = draw(st.sampled_from(ORDERS))
    turn = Rotation.from_euler("xyz", draw(st.tuples(*[st.floats(-180, 180)] * 3)), degrees=True).as_matrix()
    matrix = turn[:, list(axes)] * np.where(flips, -1, 1)
    spacing = draw(st.tuples(*[st.floats(0.3, 10)] * 3))
    origin = draw(st.tuples(*[st.floats(-1000, 1000)] * 3))
    return Grid(draw(sizes), spacing, origin, tuple(matrix.ravel()))


def blobs(shape, seed) -> np.ndarray:
    """Return two masks that overlap."""
    return np.random.default_rng(seed).random((2, *shape)) < 0.4


@pytest.mark.parametrize("ending", ENDINGS)
@given(grid=grids(), channels=st.integers(1, 3), dtype=st.sampled_from(DTYPES), seed=seeds)
def test_a_volume_comes_back_as_it_was_written(ending, grid, channels, dtype, seed):
    assume(channels == 1 or min(grid.shape[1:]) > 1)  # ITK cannot read a line of several channels from NIfTI
    array = (np.random.default_rng(seed).random((channels, *grid.shape)) * 200).astype(dtype)
    with TemporaryDirectory() as folder:
        write_volume(Path(folder) / f"a{ending}", Volume(array, grid))
        read = read_volume(Path(folder) / f"a{ending}")
    assert read.array.dtype == dtype
    np.testing.assert_array_equal(read.array, array)
    assert difference(read.grid, grid) == ""
    assert not read.grid.planar


@given(grid=grids(), seed=seeds)
def test_overlapping_segments_come_back_as_they_were_written(grid, seed):
    first, second = blobs(grid.shape, seed)
    structures = [Structure("a" * 32, "one", 1, (255, 0, 0)), Structure("b" * 32, "two", 1, (0, 255, 0))]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.seg.nrrd"
        write_seg_nrrd(path, {"one": first, "two": second}, grid, structures)
        back = read_masks(grid, ["two", "one"], path)
    np.testing.assert_array_equal(back["one"], first)
    np.testing.assert_array_equal(back["two"], second)


@given(grid=grids(), order=st.sampled_from(ORDERS), seed=seeds)
@settings(max_examples=50)
def test_a_label_may_be_stored_in_another_order_than_its_image(grid, order, seed):
    label = blobs(grid.shape, seed)[0].astype(np.uint8)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "label.nrrd"
        sitk.WriteImage(image_of(*stored(label, grid, *order)), str(path))
        notes: list[Note] = []
        back = read_masks(grid, ["one"], path, {"one": [1]}, notes=notes)["one"]
    np.testing.assert_array_equal(back, label == 1)
    assert notes == []


@pytest.mark.parametrize("dimension", [2, 3])
@given(grid=grids(), code=st.sampled_from(["SPL", "LIP", "PIL"]), seed=seeds)
@settings(max_examples=50)
def test_a_mask_on_a_grid_as_fine_as_the_model_s_comes_back_unchanged(dimension, grid, code, seed):
    step = grid.spacing[0]
    grid = Grid(grid.shape, (step, step, step), grid.origin, grid.direction)
    plan = Plan(
        dimension=dimension, planar=False, channels=1, orientation=code,
        spacing=(None if dimension == 2 else step, step, step), patch=(8, 8, 8), multiple=8, shape=(8, 8, 8),
    )  # fmt: skip
    mask = blobs(grid.shape, seed)[0]
    volume = Volume(mask[None].astype(np.float32), grid)
    _, _, record = forward(volume, plan)
    back = inverse(forward_mask(mask, volume, plan)[None].float(), record)[0] >= 0.5
    assert np.array_equal(back, mask)
