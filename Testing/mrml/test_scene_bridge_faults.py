"""A result that cannot be shown leaves the scene as it was."""

import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed: pip install slicer-core")
vtk = pytest.importorskip("vtk")
from mrml.segmented import STRUCTURES, undo, written  # noqa: E402

from IncrementalSegLib.errors import DataError, GeometryError  # noqa: E402


def test_a_damaged_result_leaves_the_scene_as_it_was(tmp_path, bridge, scan):
    nodes = slicer.mrmlScene.GetNumberOfNodes()
    with pytest.raises(DataError, match="cannot be read"):
        bridge.showSegmentation(tmp_path / "missing.seg.nrrd", scan, STRUCTURES)
    assert slicer.mrmlScene.GetNumberOfNodes() == nodes


def damages():
    return {
        "truncated": lambda data: data[: len(data) - 9],
        "half a header": lambda data: data[:200],
        "no segment": lambda data: data.replace(b"_ID:=", b"_XX:="),
        "no format": lambda data: b"\0\1\2" * 200,
        "damaged": lambda data: data[:-60] + b"x" * 60,
        "empty": lambda data: b"",
    }


@pytest.mark.parametrize("damage", damages().values(), ids=damages())
def test_a_damaged_file_is_a_sentence(tmp_path, bridge, scan, defer, damage):
    path = written(tmp_path, bridge, scan)
    path.write_bytes(damage(path.read_bytes()))
    reading = bridge.readSegmentation(path, defer)
    defer.run()
    assert "cannot be read" in reading.error.what


def test_a_scan_that_is_gone_is_a_sentence(tmp_path, bridge, scan):
    path = written(tmp_path, bridge, scan)
    slicer.mrmlScene.RemoveNode(scan)
    nodes = slicer.mrmlScene.GetNumberOfNodes()
    for show in (
        lambda: bridge.showSegmentation(path, scan, STRUCTURES),
        lambda: bridge.showMap(path, scan, "uncertainty"),
    ):
        with pytest.raises(DataError, match="not in the scene"):
            show()
    assert slicer.mrmlScene.GetNumberOfNodes() == nodes


def test_the_scene_may_close_at_any_time(tmp_path, bridge, scan):
    bridge.showSegmentation(written(tmp_path, bridge, scan), scan, STRUCTURES)
    slicer.mrmlScene.Clear(0)
    undo(bridge)
    bridge.hideMap()
    bridge.endScene()
    assert bridge.candidates() == []


def test_a_segmentation_that_is_bent_is_refused(tmp_path, bridge, scan):
    path = written(tmp_path, bridge, scan)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Bent")
    bend = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLGridTransformNode")
    bend.SetAndObserveTransformToParent(slicer.vtkOrientedGridTransform())
    node.SetAndObserveTransformNodeID(bend.GetID())
    scan.SetAndObserveTransformNodeID(bend.GetID())
    nodes = slicer.mrmlScene.GetNumberOfNodes()
    for target in (node, None):
        with pytest.raises(GeometryError, match="not linear"):
            bridge.showSegmentation(path, scan, STRUCTURES, target)
    assert node.GetSegmentation().GetNumberOfSegments() == 0
    assert slicer.mrmlScene.GetNumberOfNodes() == nodes
