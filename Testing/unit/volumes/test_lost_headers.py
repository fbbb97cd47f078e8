"""Labels of the image's size whose header puts them elsewhere: refused, or taken voxel by voxel where that is asked."""

import itertools

import numpy as np
import pytest
import SimpleITK as sitk

from IncrementalSegLib.errors import GeometryError
from IncrementalSegLib.structures import Structure
from IncrementalSegLib.volumes.io import image_of, write_image
from IncrementalSegLib.volumes.seg_nrrd import write_seg_nrrd
from IncrementalSegLib.volumes.segmentations import read_masks
from IncrementalSegLib.volumes.volume import Grid

TURNED = (0.0, 1.0, 0.0, -1.0, 0.0, 0.0, 0.0, 0.0, 1.0)
GRID = Grid((6, 6, 6), (2.0, 2.0, 2.0), (-7.0, 8.0, 9.0), TURNED)
MASK = np.zeros(GRID.shape, np.uint8)
MASK[1:3, 2:5, 0:2] = 1

LOST = {
    "x mirrored": Grid(GRID.shape, GRID.spacing, GRID.origin, (0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0)),
    "nothing left": Grid(GRID.shape),
    "no directions": Grid(GRID.shape, GRID.spacing, GRID.origin),
    "no origin": Grid(GRID.shape, GRID.spacing, (0.0, 0.0, 0.0), TURNED),
    "no spacing": Grid(GRID.shape, (1.0, 1.0, 1.0), GRID.origin, TURNED),
    "one voxel further": Grid(GRID.shape, GRID.spacing, (-5.0, 8.0, 9.0), TURNED),
    "far away": Grid(GRID.shape, GRID.spacing, (900.0, 8.0, 9.0), TURNED),
}


def written(folder, form, grid):
    """Return the arguments that read the mask ``a`` from a file of that form."""
    if form == "segments":
        write_seg_nrrd(folder / "m.seg.nrrd", {"a": MASK > 0}, grid, [Structure.create("a", 1)])
        return {"label": folder / "m.seg.nrrd"}
    path = folder / "m.nii.gz"
    write_image(path, image_of(MASK[np.newaxis], grid))
    return {"label": path, "values": {"a": (1,)}} if form == "map" else {"masks": {"a": path}}


@pytest.mark.parametrize("form", ["map", "segments", "mask"])
@pytest.mark.parametrize("grid", LOST.values(), ids=LOST)
def test_lost_header_is_refused_and_its_voxels_are_taken_one_by_one_where_asked(tmp_path, form, grid):
    given = written(tmp_path, form, grid)
    with pytest.raises(
        GeometryError, match=r"(the size of its image but a different position|do not overlap).*accept_grid=True"
    ):
        read_masks(GRID, ["a"], **given)
    notes = []
    found = read_masks(GRID, ["a"], **given, notes=notes, by_index=True)["a"]
    np.testing.assert_array_equal(found, MASK > 0)
    assert [note.kind for note in notes] == ["accepted-grid"]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("mirrored", [(False, False, False), (True, False, False), (False, True, True)])
def test_same_samples_in_another_order_are_no_lost_header(tmp_path, order, mirrored):
    image = sitk.Flip(sitk.PermuteAxes(image_of(MASK[np.newaxis], GRID), list(order)), list(mirrored))
    write_image(tmp_path / "m.nii.gz", image)
    notes = []
    found = read_masks(GRID, ["a"], tmp_path / "m.nii.gz", {"a": (1,)}, notes=notes)["a"]
    np.testing.assert_array_equal(found, MASK > 0)
    assert notes == []


def test_a_mirrored_header_is_told_in_degrees(tmp_path):
    with pytest.raises(GeometryError, match=r"axes that differ by 180 degrees"):
        read_masks(GRID, ["a"], **written(tmp_path, "map", LOST["x mirrored"]))


def test_header_off_by_up_to_half_a_voxel_is_no_lost_header(tmp_path):
    given = written(tmp_path, "map", Grid(GRID.shape, GRID.spacing, (-6.1, 8.9, 9.0), TURNED))
    notes = []
    np.testing.assert_array_equal(read_masks(GRID, ["a"], **given, notes=notes)["a"], MASK > 0)
    assert [note.kind for note in notes] == ["other-grid"]


@pytest.mark.parametrize("form", ["map", "segments", "mask"])
@pytest.mark.parametrize("name", LOST)
@pytest.mark.parametrize("slices", [-1, 1])
def test_a_lost_header_is_refused_with_a_slice_more_or_less(tmp_path, monkeypatch, form, name, slices):
    lost = LOST[name]
    shape = (lost.shape[0] + slices, *lost.shape[1:])
    monkeypatch.setitem(globals(), "MASK", np.ones(shape, np.uint8))
    given = written(tmp_path, form, Grid(shape, lost.spacing, lost.origin, lost.direction))
    if name == "one voxel further":  # no more than the slice may explain
        assert read_masks(GRID, ["a"], **given)["a"].any()
        return
    with pytest.raises(
        GeometryError, match=r"nearly the size of its image but a different position|do not overlap"
    ) as told:
        read_masks(GRID, ["a"], **given)
    assert "accept_grid" not in str(told.value), "there are no voxels to be taken one by one"
    if name == "x mirrored":
        assert "size 6 x 6 x" in str(told.value)
        assert "180 degrees" in str(told.value)


@pytest.mark.parametrize("slices", [slice(0, 5), slice(1, 6), slice(1, 5), slice(0, 2)])
def test_a_label_cut_from_its_image_has_no_other_place(tmp_path, slices):
    part = image_of(MASK[np.newaxis], GRID)[:, :, slices]
    write_image(tmp_path / "m.nii.gz", part)
    found = read_masks(GRID, ["a"], tmp_path / "m.nii.gz", {"a": (1,)}, notes=[])["a"]
    np.testing.assert_array_equal(found[slices], MASK[slices] > 0)
