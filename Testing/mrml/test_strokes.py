"""Strokes on a scan: a segmentation of their own that the library reads, and that is neither result nor example."""

import re

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed: pip install slicer-core")

vtk = pytest.importorskip("vtk")

from mrml.segmented import SHAPE, STRUCTURES, TUMOUR, content, draw, voxels, written  # noqa: E402

from IncrementalSegLib.correction.strokes import read_strokes  # noqa: E402
from IncrementalSegLib.errors import DataError, UnknownNameError  # noqa: E402
from IncrementalSegLib.structures import BACKGROUND, Structure, StructureList  # noqa: E402
from IncrementalSegLib.volumes.io import read_volume  # noqa: E402

PLACE = (slice(2, 4), slice(1, 3), slice(5, 7))
OTHER = (slice(5, 6), slice(6, 8), slice(0, 2))


def exported(bridge, node, scan, folder, defer):
    found = bridge.strokes.export(node, scan, folder / "strokes.seg.nrrd", defer)
    defer.run()
    if found.error is not None:
        raise found.error
    return found.path


def read(path, bridge, scan, folder, exclusive=tuple(item.id for item in STRUCTURES)):
    grid = read_volume(bridge.exportVolume(scan, folder, lambda act: act()).path).grid
    return read_strokes(path, grid, StructureList(tuple(STRUCTURES)), exclusive)


def test_there_is_a_segment_per_structure_and_one_for_background(bridge, scan):
    node = bridge.strokes.prepare(scan, STRUCTURES)
    segmentation = node.GetSegmentation()
    segments = [segmentation.GetSegment(found) for found in segmentation.GetSegmentIDs()]
    assert [segment.GetName() for segment in segments] == [*(item.name for item in STRUCTURES), "background"]
    assert segments[1].GetColor() == pytest.approx([part / 255 for part in TUMOUR.color])
    assert node.GetName() == "Abdomen strokes"
    assert bridge.strokes.prepare(scan, STRUCTURES) is node
    assert segmentation.GetNumberOfSegments() == 4


def test_a_structure_that_the_model_has_learned_since_is_added_and_strokes_stay(bridge, scan):
    node = bridge.strokes.prepare(scan, STRUCTURES[:2])
    painted = draw(node, TUMOUR.id, PLACE)
    bridge.strokes.prepare(scan, STRUCTURES)
    assert node.GetSegmentation().GetNumberOfSegments() == 4
    np.testing.assert_array_equal(voxels(node, TUMOUR.id), painted)


def test_strokes_of_another_model_are_apart_and_stay_hidden(bridge, scan):
    node, stranger = bridge.strokes.prepare(scan, STRUCTURES), Structure.create("spleen", 1)
    painted = draw(node, TUMOUR.id, PLACE)
    bridge.strokes.hide()
    other = bridge.strokes.prepare(scan, [stranger])
    assert list(other.GetSegmentation().GetSegmentIDs()) == [stranger.id, BACKGROUND]
    assert (node.GetDisplayVisibility(), other.GetDisplayVisibility()) == (0, 1)
    assert bridge.strokes.prepare(scan, STRUCTURES) is node
    np.testing.assert_array_equal(voxels(node, TUMOUR.id), painted)


@pytest.mark.parametrize("moved", [False, True])
def test_the_library_reads_the_painted_voxels(bridge, scan, tmp_path, defer, moved):
    if moved:
        transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
        transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(np.array(
            [[0, -1, 0, 7.0], [1, 0, 0, -2], [0, 0, 1, 11], [0, 0, 0, 1]])))  # fmt: skip
        scan.SetAndObserveTransformNodeID(transform.GetID())
    node = bridge.strokes.prepare(scan, STRUCTURES)
    tumour, background = draw(node, TUMOUR.id, PLACE), draw(node, BACKGROUND, OTHER)
    found = read(exported(bridge, node, scan, tmp_path, defer), bridge, scan, tmp_path)
    np.testing.assert_array_equal(found.painted[TUMOUR.id], tumour)
    np.testing.assert_array_equal(found.background, background)
    assert found.known.sum() == tumour.sum() + background.sum()


def test_a_single_stroke_and_overlapping_ones_are_read_too(bridge, scan, tmp_path, defer):
    node = bridge.strokes.prepare(scan, STRUCTURES)
    draw(node, TUMOUR.id, PLACE)
    assert read(exported(bridge, node, scan, tmp_path, defer), bridge, scan, tmp_path).known.sum() == 8
    draw(node, STRUCTURES[0].id, PLACE)
    found = read(exported(bridge, node, scan, tmp_path, defer), bridge, scan, tmp_path, exclusive=())
    assert [int(mask.sum()) for mask in found.painted.values()] == [8, 8, 0]
    with pytest.raises(DataError, match="both left kidney and tumour"):
        read(tmp_path / "strokes.seg.nrrd", bridge, scan, tmp_path)


def test_a_brush_that_reaches_beyond_the_scan_paints_what_lies_in_it(bridge, scan, tmp_path, defer):
    node, brush = bridge.strokes.prepare(scan, STRUCTURES), slicer.vtkOrientedImageData()
    matrix = vtk.vtkMatrix4x4()
    scan.GetIJKToRASMatrix(matrix)
    brush.SetImageToWorldMatrix(matrix)
    brush.SetExtent(-2, 1, 7, 12, -1, 2)
    brush.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
    brush.GetPointData().GetScalars().Fill(1)
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    logic.SetBinaryLabelmapToSegment(brush, node, TUMOUR.id, logic.MODE_REPLACE)
    found = read(exported(bridge, node, scan, tmp_path, defer), bridge, scan, tmp_path)
    expected = np.zeros(SHAPE, bool)
    expected[:3, 7:, :2] = True
    np.testing.assert_array_equal(found.painted[TUMOUR.id], expected)


def test_strokes_that_were_moved_hold_where_they_are_seen(bridge, scan, tmp_path, defer):
    node = bridge.strokes.prepare(scan, STRUCTURES)
    painted = draw(node, TUMOUR.id, PLACE)
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    matrix = vtk.vtkMatrix4x4()
    scan.GetIJKToRASMatrix(matrix)
    moved = np.eye(4)
    moved[:3, 3] = [matrix.GetElement(row, 0) for row in range(3)]  # one voxel along i
    transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(moved))
    node.SetAndObserveTransformNodeID(transform.GetID())
    found = read(exported(bridge, node, scan, tmp_path, defer), bridge, scan, tmp_path)
    np.testing.assert_array_equal(found.painted[TUMOUR.id], np.roll(painted, 1, axis=2))


def test_a_segment_of_a_person_is_refused_by_its_name(bridge, scan, tmp_path, defer):
    node = bridge.strokes.prepare(scan, STRUCTURES)
    node.GetSegmentation().AddEmptySegment("own", "my \\ stone")
    draw(node, "own", PLACE)
    path = exported(bridge, node, scan, tmp_path, defer)
    with pytest.raises(UnknownNameError, match="called " + re.escape(repr("my \\ stone"))):
        read(path, bridge, scan, tmp_path)


def test_nothing_painted_is_one_sentence_and_no_file(bridge, scan, tmp_path, defer):
    node = bridge.strokes.prepare(scan, STRUCTURES)
    with pytest.raises(DataError, match="No stroke is painted yet"):
        exported(bridge, node, scan, tmp_path, defer)
    draw(node, TUMOUR.id, PLACE)
    slicer.mrmlScene.RemoveNode(scan)
    with pytest.raises(DataError, match="not in the scene any more"):
        exported(bridge, node, scan, tmp_path, defer)
    assert not list(tmp_path.iterdir())


def test_strokes_are_neither_a_result_nor_examples(bridge, scan, tmp_path):
    node = bridge.strokes.prepare(scan, STRUCTURES)
    draw(node, TUMOUR.id, PLACE)
    before = content(node)
    assert bridge.candidates("tumour") == []
    result = bridge.showSegmentation(written(tmp_path, bridge, scan), scan, STRUCTURES)
    assert result is not node
    assert content(node) == before
    assert {example.segmentationId for example in bridge.candidates("tumour")} == {result.GetID()}


def test_strokes_are_hidden_with_the_page_and_with_their_scan(bridge, scan):
    view = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSliceCompositeNode")
    other = slicer.util.addVolumeFromArray(np.zeros(SHAPE, np.int16), name="Other")
    node = bridge.strokes.prepare(scan, STRUCTURES)
    bridge.showScan(scan)
    bridge.showScan(other)
    assert not node.GetDisplayVisibility()
    bridge.showScan(scan)
    assert node.GetDisplayVisibility()
    bridge.showScan(other)
    bridge.strokes.hide()  # the page is left while another scan is looked at
    bridge.showScan(scan)
    assert not node.GetDisplayVisibility()
    assert view.GetBackgroundVolumeID() == scan.GetID()
    bridge.strokes.prepare(scan, STRUCTURES)
    assert node.GetDisplayVisibility()


def test_the_editor_has_parameters_of_its_own(bridge):
    node = bridge.strokes.editorNode()
    assert bridge.strokes.editorNode() is node
    assert not node.GetSaveWithScene()
    own = slicer.mrmlScene.GetSingletonNode("SegmentEditor", "vtkMRMLSegmentEditorNode")
    assert own is None
