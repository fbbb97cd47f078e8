"""Strokes from a segmentation of 3D Slicer, and the refusals."""

from dataclasses import replace

import numpy as np
import pytest

from IncrementalSegLib.correction.strokes import read_strokes
from IncrementalSegLib.errors import DataError, GeometryError, UnknownNameError
from IncrementalSegLib.structures import Structure, StructureList
from IncrementalSegLib.volumes import labels
from IncrementalSegLib.volumes.io import read_image
from IncrementalSegLib.volumes.seg_nrrd import write_seg_nrrd
from IncrementalSegLib.volumes.volume import Grid

GRID = Grid((4, 10, 12), (0.8, 0.8, 3.0), (5.0, -7.0, 20.0))
KNOWN = StructureList((Structure.create("liver", 1), Structure.create("spleen", 2)))
LIVER, SPLEEN = KNOWN.ids


@pytest.fixture
def drawn(tmp_path):
    """Return a function that writes a stroke of some voxels under each name."""

    def draw(grid=GRID, **strokes):
        masks = {name: np.zeros(grid.shape, bool) for name in strokes}
        for name, voxels in strokes.items():
            for voxel in voxels:
                masks[name][voxel] = True
        path = tmp_path / "strokes.seg.nrrd"
        write_seg_nrrd(path, masks, grid, [replace(Structure.create(name, 1), id=name) for name in strokes])
        return path

    return draw


def test_each_stroke_tells_the_whole_truth_of_its_voxels(drawn):
    path = drawn(Liver=[(0, 1, 2)], background=[(3, 4, 5)])
    strokes = read_strokes(path, GRID, KNOWN, KNOWN.ids)
    assert np.argwhere(strokes.painted[LIVER]).tolist() == [[0, 1, 2]]
    assert not strokes.painted[SPLEEN].any()
    assert np.argwhere(strokes.known).tolist() == [[0, 1, 2], [3, 4, 5]]
    everything = np.ones(GRID.shape, bool)
    held = strokes.imposed({LIVER: everything, SPLEEN: everything, "other": everything})
    assert np.argwhere(~held[LIVER]).tolist() == [[3, 4, 5]]
    assert np.argwhere(~held[SPLEEN]).tolist() == [[0, 1, 2], [3, 4, 5]]
    assert held["other"].all()


def test_the_file_is_read_once(drawn, monkeypatch):
    reads = []
    monkeypatch.setattr(labels, "read_image", lambda *asked: reads.append(asked) or read_image(*asked))
    read_strokes(drawn(liver=[(0, 1, 2)]), GRID, KNOWN, KNOWN.ids)
    assert len(reads) == 1


def test_two_segments_whose_names_differ_in_case_are_refused(drawn):
    path = drawn(Liver=[(0, 1, 2)], liver=[(3, 4, 5)])
    with pytest.raises(DataError, match="Two segments are called 'Liver' and 'liver'"):
        read_strokes(path, GRID, KNOWN, KNOWN.ids)


def test_strokes_that_slicer_cropped_lie_where_they_were_painted(drawn):
    cropped = replace(GRID, shape=(1, 2, 3), origin=GRID.position((2, 4, 6)))
    strokes = read_strokes(drawn(cropped, spleen=[(0, 1, 2)]), GRID, KNOWN, ())
    assert np.argwhere(strokes.painted[SPLEEN]).tolist() == [[2, 5, 8]]


@pytest.mark.parametrize(
    "grid",
    [
        replace(GRID, spacing=(1.0, 1.0, 3.0)),
        replace(GRID, origin=(5.4, -7.0, 20.0)),
        replace(GRID, direction=(-1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0)),
        replace(GRID, origin=(5.0 + 3 * 0.8, -7.0, 20.0)),
    ],
    ids=["spacing", "half a voxel", "mirrored", "moved by voxels"],
)
def test_another_grid_is_refused(drawn, grid):
    with pytest.raises(GeometryError, match="on another grid than the scan"):
        read_strokes(drawn(grid, liver=[(0, 0, 0)]), GRID, KNOWN, KNOWN.ids)


@pytest.mark.parametrize(
    "own",
    [
        replace(GRID, shape=(1, 4, 4), origin=GRID.position((0, 8, 8))),
        replace(GRID, shape=(6, 30, 40), origin=GRID.position((-1, -9, -5))),
        replace(GRID, shape=(12, 4, 10), spacing=(0.8, 3.0, 0.8), origin=GRID.position((0, 0, 8)),
                direction=(1, 0, 0, 0, 0, 1, 0, 1, 0)),
    ],
    ids=["a corner", "around the scan", "other axes"],
)  # fmt: skip
def test_a_grid_may_reach_beyond_the_scan_but_no_stroke(drawn, own):
    inside, outside = (
        next(voxel for voxel in np.ndindex(own.shape) if within(own.position(voxel)) is wanted)
        for wanted in (True, False)
    )
    strokes = read_strokes(drawn(own, liver=[inside]), GRID, KNOWN, KNOWN.ids)
    (voxel,) = np.argwhere(strokes.known)
    assert GRID.position(voxel) == pytest.approx(own.position(inside))
    x, y, z = own.position(outside)
    said = rf"beyond the scan in 1 of their voxels, for example at {x:.1f}, {y:.1f}, {z:.1f} mm"
    with pytest.raises(GeometryError, match=said):
        read_strokes(drawn(own, liver=[inside, outside]), GRID, KNOWN, KNOWN.ids)


def within(position):
    """Tell whether a place lies in the scan, along whose axes x, y, z run."""
    samples = np.subtract(position, GRID.origin) / GRID.spacing
    return bool(((samples > -0.5) & (samples < np.array(GRID.shape[::-1]) - 0.5)).all())


def test_an_unknown_structure_is_refused_with_the_nearest_name(drawn):
    with pytest.raises(UnknownNameError, match=r"'livre'.*Did you mean 'liver'.*background, liver, spleen"):
        read_strokes(drawn(livre=[(0, 0, 0)]), GRID, KNOWN, KNOWN.ids)


def test_empty_strokes_are_refused_and_an_empty_segment_is_not(drawn):
    with pytest.raises(DataError, match="are empty"):
        read_strokes(drawn(liver=[], background=[]), GRID, KNOWN, KNOWN.ids)
    assert read_strokes(drawn(liver=[(0, 0, 0)], Segment_1=[]), GRID, KNOWN, KNOWN.ids).known.sum() == 1


def test_strokes_that_contradict_each_other_are_refused(drawn):
    voxel = (1, 2, 3)
    two = drawn(liver=[voxel], spleen=[voxel])
    with pytest.raises(DataError, match=r"both liver and spleen in 1 .* 7\.4, -5\.4, 23\.0 mm"):
        read_strokes(two, GRID, KNOWN, KNOWN.ids)
    for apart in ((), (LIVER,)):  # these may overlap
        assert read_strokes(two, GRID, KNOWN, apart).known.sum() == 1
    with pytest.raises(DataError, match=r"both spleen and background|both background and spleen"):
        read_strokes(drawn(spleen=[voxel], background=[voxel]), GRID, KNOWN, ())


def test_strokes_on_a_picture_need_its_size_only(drawn):
    picture = Grid((1, 10, 12), planar=True)
    strokes = read_strokes(drawn(replace(picture, planar=False), liver=[(0, 3, 4)]), picture, KNOWN, KNOWN.ids)
    assert np.argwhere(strokes.known).tolist() == [[0, 3, 4]]
    smaller = Grid((1, 10, 11))
    with pytest.raises(GeometryError, match="on another grid than the scan: size 11 x 10"):
        read_strokes(drawn(smaller, liver=[(0, 3, 4)]), picture, KNOWN, KNOWN.ids)


def test_a_file_without_names_is_refused(tmp_path):
    import SimpleITK as sitk
    from scans import image_of

    path = tmp_path / "strokes.nrrd"
    sitk.WriteImage(image_of(np.ones(GRID.shape, np.uint8), GRID), str(path))
    with pytest.raises(DataError, match="hold no segments"):
        read_strokes(path, GRID, KNOWN, KNOWN.ids)
