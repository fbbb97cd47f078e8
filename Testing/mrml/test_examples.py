"""Segments of the scene as examples: what is offered, and what is said about it."""

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed: pip install slicer-core")
vtk = pytest.importorskip("vtk")

from IncrementalSegPanel.scene.SceneBridge import SceneBridge  # noqa: E402
from mrml.drawn import BOX, MATRIX, SHAPE, edit, said, scan, segmentation  # noqa: E402

from IncrementalSegLib.structures import Structure  # noqa: E402
from IncrementalSegLib.volumes.io import read_volume  # noqa: E402
from IncrementalSegLib.volumes.seg_nrrd import write_seg_nrrd  # noqa: E402


@pytest.fixture
def bridge():
    return SceneBridge()


def test_a_good_example_has_its_volume_and_no_hint(bridge):
    volume = scan()
    segmentation(volume, liver=BOX)
    (example,) = bridge.candidates()
    assert example.ml == pytest.approx(4 * 15 * 22 * 1.5 * 0.5 * 3 / 1000)
    assert example.slices == 4
    assert (example.volumeId, example.volumeName) == (volume.GetID(), "Scan")
    assert (example.hints, example.obstacle, example.edited) == ((), "", False)


def test_hints_say_what_a_person_should_know(bridge):
    segmentation(
        scan(),
        border=(slice(2, 6), slice(0, 20), BOX[2]),
        top=(slice(4, 8), *BOX[1:]),
        tiny=(slice(3, 6), slice(9, 11), slice(9, 11)),
        flat=(slice(3, 5), *BOX[1:]),
        empty=(slice(0, 0), *BOX[1:]),
        fine=BOX,
    )
    found = said(bridge)
    assert "reaches the border" in found["border"]
    assert "reaches the border" in found["top"]
    assert "very small" in found["tiny"]
    assert "2 slices only" in found["flat"]
    assert "empty" in found["empty"]
    assert found["fine"] == ""


def test_another_grid_is_said(bridge):
    first, second = scan("First"), scan("Second", matrix=MATRIX + np.array([[0, 0, 0, 0.4], *[[0] * 4] * 3]))
    node = segmentation(first, liver=BOX)
    node.SetNodeReferenceID(node.GetReferenceImageGeometryReferenceRole(), second.GetID())
    assert "a different grid" in said(bridge)["liver"]


def test_without_a_scan_it_cannot_teach(bridge):
    first = scan("First")
    node = segmentation(first, liver=BOX)
    node.RemoveNodeReferenceIDs(node.GetReferenceImageGeometryReferenceRole())
    (example,) = bridge.candidates()
    assert example.volumeId == first.GetID()  # the only one there is
    scan("Second")
    (example,) = bridge.candidates()
    assert "not clear which scan" in example.obstacle


def test_the_scan_of_its_grid_is_found_among_several(bridge):
    wide, moved = scan("Wide", (8, 30, 44)), scan("Moved", matrix=MATRIX + np.array([[0, 0, 0, 9], *[[0] * 4] * 3]))
    for volume in (wide, moved, scan("Right")):
        node = segmentation(volume, volume.GetName(), liver=BOX)
        node.RemoveNodeReferenceIDs(node.GetReferenceImageGeometryReferenceRole())
    assert [example.volumeName for example in bridge.candidates()] == ["Wide", "Moved", "Right"]
    slicer.mrmlScene.RemoveNode(moved)
    assert [example.volumeName for example in bridge.candidates()] == ["Wide", "Right", ""]


def test_a_labelmap_is_no_scan(bridge):
    node = segmentation(scan("First"), liver=BOX)
    labels = slicer.util.addVolumeFromArray(np.zeros(SHAPE, np.uint8), nodeClassName="vtkMRMLLabelMapVolumeNode")
    node.SetNodeReferenceID(node.GetReferenceImageGeometryReferenceRole(), labels.GetID())
    assert bridge.candidates()[0].volumeName == "First"


def test_what_is_likely_meant_comes_first(bridge):
    node = segmentation(scan(), liver=BOX, mine=BOX, Kidney_L=BOX, void=(slice(0, 0), *BOX[1:]), left_kidny=BOX)
    node.GetSegmentation().GetSegment("Kidney_L").SetTerminology(Structure.create("kidney left", 1).terminology)
    edit(node, "mine")
    found = bridge.candidates("left kidney")
    assert {example.name for example in found[:2]} == {"Kidney L", "left kidny"}
    assert [example.name for example in found[2:]] == ["mine", "liver", "void"]
    assert [example.edited for example in found] == [False, False, True, False, False]


def test_what_a_model_made_and_nobody_corrected_is_said(tmp_path, bridge):
    volume, liver = scan(), Structure.create("liver", 1)
    mask = np.zeros(SHAPE, bool)
    mask[BOX] = True
    grid = read_volume(bridge.exportVolume(volume, tmp_path, lambda act: act()).path).grid
    write_seg_nrrd(tmp_path / "r.seg.nrrd", {liver.id: mask}, grid, [liver])
    node = bridge.showSegmentation(tmp_path / "r.seg.nrrd", volume, [liver])
    assert said(bridge)["liver"] == "A model made it, and nobody corrected it or marked it as completed."
    assert bridge.candidates()[0].uncorrected
    edit(node, liver.id)  # the status alone may be that of an earlier segment
    assert bridge.candidates()[0].uncorrected
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    logic.SetSegmentStatus(node.GetSegmentation().GetSegment(liver.id), logic.Completed)
    assert not bridge.candidates()[0].uncorrected
    assert "A model made it" not in said(bridge)["liver"]


def test_a_change_is_counted_again(bridge):
    volume = scan()
    node = segmentation(volume, liver=BOX)
    before = bridge.candidates()[0].ml
    mask = np.zeros(SHAPE, np.uint8)
    mask[2:6, 5:10, 8:30] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask, node, "liver", volume)
    assert bridge.candidates()[0].ml == pytest.approx(before / 3)
