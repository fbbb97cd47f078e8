"""Uncertainty over the scan, jumps to a place, and the Segment Editor."""

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed: pip install slicer-core")
vtk = pytest.importorskip("vtk")
from mrml.segmented import SHAPE, STRUCTURES, TUMOUR, written  # noqa: E402

from IncrementalSegLib.errors import DataError  # noqa: E402
from IncrementalSegLib.volumes.io import read_volume, write_volume  # noqa: E402


@pytest.fixture
def views():
    """Return the composite nodes of two slice views."""
    found = []
    for name in ("Red", "Green"):
        node = slicer.vtkMRMLSliceCompositeNode()
        node.SetLayoutName(name)
        found.append(slicer.mrmlScene.AddNode(node))
    return found


def test_uncertainty_lies_over_the_scan_and_goes_away(tmp_path, bridge, scan, views):
    other = slicer.util.addVolumeFromArray(np.zeros(SHAPE, np.int16), name="PET")
    views[0].SetBackgroundVolumeID(scan.GetID())
    views[0].SetForegroundVolumeID(other.GetID())
    views[0].SetForegroundOpacity(0.7)
    nodes = slicer.mrmlScene.GetNumberOfNodes()
    volume = read_volume(bridge.exportVolume(scan, tmp_path, lambda act: act()).path)
    values = np.linspace(0, 1, volume.array.size, dtype=np.float32).reshape(volume.array.shape)
    write_volume(tmp_path / "map.nrrd", volume.with_array(values))
    for _ in range(2):  # a second one takes the place of the first
        node = bridge.showMap(tmp_path / "map.nrrd", scan, "uncertainty")
        shown = {(view.GetBackgroundVolumeID(), view.GetForegroundVolumeID()) for view in views}
        assert shown == {(scan.GetID(), node.GetID())}
        assert {view.GetForegroundOpacity() for view in views} == {0.4}
    assert node.GetName() == "Abdomen uncertainty"
    display = node.GetDisplayNode()
    assert (display.GetWindowLevelMin(), display.GetWindowLevelMax()) == (0, 1)
    assert display.GetApplyThreshold()
    assert display.GetLowerThreshold() == pytest.approx(0.05)
    assert "fMRI" in display.GetColorNode().GetName() or "Inferno" in display.GetColorNode().GetName()
    np.testing.assert_allclose(slicer.util.arrayFromVolume(node), values[0])
    one, two = (vtk.vtkMatrix4x4() for _ in range(2))
    node.GetIJKToRASMatrix(one)
    scan.GetIJKToRASMatrix(two)
    np.testing.assert_allclose(slicer.util.arrayFromVTKMatrix(one), slicer.util.arrayFromVTKMatrix(two), atol=1e-5)
    bridge.hideMap()
    assert slicer.mrmlScene.GetNumberOfNodes() == nodes
    assert (views[0].GetForegroundVolumeID(), views[0].GetForegroundOpacity()) == (other.GetID(), 0.7)
    assert views[1].GetBackgroundVolumeID() is None


def test_a_map_of_similarity_takes_the_place_of_one_of_uncertainty(tmp_path, bridge, scan, views):
    """Cosines below 0 are not drawn; those of a structure that the network knows reach about 0.8."""
    nodes = slicer.mrmlScene.GetNumberOfNodes()
    volume = read_volume(bridge.exportVolume(scan, tmp_path, lambda act: act()).path)
    values = np.linspace(-1, 1, volume.array.size, dtype=np.float32).reshape(volume.array.shape)
    write_volume(tmp_path / "map.nrrd", volume.with_array(values))
    bridge.showMap(tmp_path / "map.nrrd", scan, "uncertainty")
    node = bridge.showMap(tmp_path / "map.nrrd", scan, "similarity to liver")
    assert [item.GetName() for item in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")] == [
        "Abdomen",
        "Abdomen similarity to liver",
    ]
    assert {view.GetForegroundVolumeID() for view in views} == {node.GetID()}
    display = node.GetDisplayNode()
    assert display.GetLowerThreshold() > 0
    assert (display.GetWindowLevelMin(), display.GetWindowLevelMax(), display.GetUpperThreshold()) == (0, 1, 1)
    np.testing.assert_allclose(slicer.util.arrayFromVolume(node), values[0])
    bridge.hideMap()
    assert slicer.mrmlScene.GetNumberOfNodes() == nodes


def test_a_map_is_not_saved_with_the_scene(tmp_path, bridge, scan, views):
    volume = read_volume(bridge.exportVolume(scan, tmp_path, lambda act: act()).path)
    write_volume(tmp_path / "map.nrrd", volume.with_array(np.full(volume.array.shape, 0.5, np.float32)))
    bridge.showMap(tmp_path / "map.nrrd", scan, "uncertainty")
    slicer.mrmlScene.SetRootDirectory(str(tmp_path))
    assert slicer.mrmlScene.WriteToMRB(str(tmp_path / "scene.mrb"), None)
    bridge.endScene()
    slicer.mrmlScene.Clear(0)
    assert slicer.mrmlScene.ReadFromMRB(str(tmp_path / "scene.mrb"), False, None)
    assert bridge.scans() == [slicer.util.getNode("Abdomen")]
    slicer.util.addVolumeFromArray(np.zeros(SHAPE, np.int16), name="Other")  # takes the id of the map
    shown = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
    assert [view.GetForegroundVolumeID() for view in shown] == [None, None]
    assert [view.GetBackgroundVolumeID() for view in shown] == [slicer.util.getNode("Abdomen").GetID()] * 2


def test_a_missing_map_is_a_sentence(tmp_path, bridge, scan):
    nodes = slicer.mrmlScene.GetNumberOfNodes()
    with pytest.raises(DataError, match="cannot be read"):
        bridge.showMap(tmp_path / "missing.nrrd", scan, "uncertainty")
    assert slicer.mrmlScene.GetNumberOfNodes() == nodes


def test_all_slice_views_jump_to_a_place(bridge, scan, views):
    slices = []
    for name in ("Red", "Green"):
        node = slicer.vtkMRMLSliceNode()
        node.SetLayoutName(name)
        slices.append(slicer.mrmlScene.AddNode(node))
    bridge.jumpTo(scan, (1.0, 2.0, 3.0))
    for node in slices:
        assert [node.GetSliceToRAS().GetElement(row, 3) for row in range(3)] == [1, 2, 3]
    assert views[0].GetBackgroundVolumeID() == scan.GetID()


def test_the_segment_editor_opens_on_the_segment(tmp_path, bridge, scan, application):
    node = bridge.showSegmentation(written(tmp_path, bridge, scan), scan, STRUCTURES)
    bridge.openInSegmentEditor(node, TUMOUR.id, scan)
    assert application.opened == [(node, TUMOUR.id, scan)]
