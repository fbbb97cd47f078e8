"""What a model outlined appears in the scene, and what a person drew is never touched."""

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed: pip install slicer-core")
vtk = pytest.importorskip("vtk")
from IncrementalSegPanel.scene import NrrdSlabs  # noqa: E402
from mrml.segmented import KIDNEY, SPLEEN, STRUCTURES, TUMOUR, content, draw, masks, undo, voxels, written  # noqa: E402
from vtk.util.numpy_support import vtk_to_numpy  # noqa: E402

from IncrementalSegLib.volumes.io import read_volume  # noqa: E402
from IncrementalSegLib.volumes.seg_nrrd import write_seg_nrrd  # noqa: E402


def test_a_result_appears_with_names_colours_codes_and_layers(tmp_path, bridge, scan, application):
    node = bridge.showSegmentation(written(tmp_path, bridge, scan), scan, STRUCTURES)
    segmentation = node.GetSegmentation()
    assert node.GetName() == "Abdomen structures"
    assert list(segmentation.GetSegmentIDs()) == [structure.id for structure in STRUCTURES]
    assert segmentation.GetNumberOfLayers() == 2
    assert node.GetNodeReference(node.GetReferenceImageGeometryReferenceRole()) is scan
    assert node.GetDisplayNode() is not None
    for structure in STRUCTURES:
        segment = segmentation.GetSegment(structure.id)
        assert segment.GetName() == structure.name
        assert [round(part * 255) for part in segment.GetColor()] == list(structure.color)
        assert segment.GetTerminology() == structure.terminology
        np.testing.assert_array_equal(voxels(node, structure.id), masks()[structure.id])
    assert application.paused
    assert application.saved == []  # nothing was there


def test_it_lies_beside_its_scan_in_the_subject_hierarchy(tmp_path, bridge, scan):
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    folder = hierarchy.CreateFolderItem(hierarchy.GetSceneItemID(), "Study")
    hierarchy.CreateItem(folder, scan)

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def add(_scene, _event, node):  # as the subject hierarchy of the application does
        if node.IsA("vtkMRMLSegmentationNode"):
            hierarchy.CreateItem(hierarchy.GetSceneItemID(), node)

    tag = slicer.mrmlScene.AddObserver(slicer.vtkMRMLScene.NodeAddedEvent, add)
    node = bridge.showSegmentation(written(tmp_path, bridge, scan), scan, STRUCTURES)
    slicer.mrmlScene.RemoveObserver(tag)
    assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node)) == folder


def test_a_scan_under_a_transform_keeps_its_result_in_place_and_takes_it_along(tmp_path, bridge, scan):
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    matrix = vtk.vtkMatrix4x4()
    matrix.DeepCopy([0, -1, 0, 11, 1, 0, 0, 12, 0, 0, 1, 13, 0, 0, 0, 1])
    transform.SetMatrixTransformToParent(matrix)
    scan.SetAndObserveTransformNodeID(transform.GetID())
    node = bridge.showSegmentation(written(tmp_path, bridge, scan), scan, STRUCTURES)
    assert node.GetParentTransformNode() is transform
    np.testing.assert_array_equal(voxels(node, KIDNEY.id), masks()[KIDNEY.id])


def test_a_repeated_run_replaces_only_what_was_segmented_again(tmp_path, bridge, scan, application):
    node = bridge.showSegmentation(written(tmp_path, bridge, scan), scan, STRUCTURES)
    own = node.GetSegmentation().AddEmptySegment("mine", "Mine")
    draw(node, own)
    before = content(node)
    again = bridge.showSegmentation(written(tmp_path, bridge, scan, 2, [KIDNEY]), scan, [KIDNEY])
    after = content(again)
    assert again is node
    np.testing.assert_array_equal(voxels(node, KIDNEY.id), masks(2)[KIDNEY.id])
    assert list(after) == list(before)
    assert {key: after[key] for key in (TUMOUR.id, SPLEEN.id, own)} == {
        key: before[key] for key in (TUMOUR.id, SPLEEN.id, own)
    }
    spleen = node.GetSegmentation().GetSegment(SPLEEN.id)
    layer = vtk_to_numpy(spleen.GetRepresentation("Binary labelmap").GetPointData().GetScalars())
    assert set(layer) == {0, spleen.GetLabelValue()}  # nothing is left of the kidney that lay beside it
    assert application.saved == [(node.GetID(), {key: np.frombuffer(before[key][3], bool).sum() for key in before})]


def test_a_name_and_colour_that_a_person_chose_stay(tmp_path, bridge, scan):
    node = bridge.showSegmentation(written(tmp_path, bridge, scan), scan, STRUCTURES)
    node.GetSegmentation().GetSegment(KIDNEY.id).SetName("Niere")
    node.GetSegmentation().GetSegment(KIDNEY.id).SetColor(0, 0, 1)
    bridge.showSegmentation(written(tmp_path, bridge, scan, 2), scan, STRUCTURES)
    segment = node.GetSegmentation().GetSegment(KIDNEY.id)
    assert (segment.GetName(), segment.GetColor()) == ("Niere", (0, 0, 1))
    np.testing.assert_array_equal(voxels(node, KIDNEY.id), masks(2)[KIDNEY.id])
    assert segment.GetTerminology() == KIDNEY.terminology


@pytest.mark.parametrize("status", [True, False], ids=["in the editor", "by a script"])
def test_a_corrected_segment_is_kept_beside_the_new_one(tmp_path, bridge, scan, status):
    node = bridge.showSegmentation(written(tmp_path, bridge, scan), scan, STRUCTURES)
    theirs = draw(node, KIDNEY.id, status=status)
    for run in (1, 2):  # what nobody corrected again is replaced the second time
        bridge.showSegmentation(written(tmp_path, bridge, scan, run), scan, STRUCTURES)
        segmentation = node.GetSegmentation()
        names = [segmentation.GetSegment(found).GetName() for found in segmentation.GetSegmentIDs()]
        assert names == ["left kidney (corrected)", "left kidney", "tumour", "spleen"]
        np.testing.assert_array_equal(voxels(node, segmentation.GetNthSegmentID(0)), theirs)
        for structure in STRUCTURES:
            np.testing.assert_array_equal(voxels(node, structure.id), masks(run)[structure.id])
    said = {example.name: example.hints for example in bridge.candidates()}
    assert not any("A model made it" in hint for hint in said["left kidney (corrected)"])
    assert any("A model made it" in hint for hint in said["left kidney"])
    draw(node, KIDNEY.id)
    bridge.showSegmentation(written(tmp_path, bridge, scan), scan, STRUCTURES)
    names = [node.GetSegmentation().GetNthSegment(index).GetName() for index in range(3)]
    assert names == ["left kidney (corrected)", "left kidney (corrected) 2", "left kidney"]


def test_marked_as_completed_counts_as_corrected(tmp_path, bridge, scan):
    node = bridge.showSegmentation(written(tmp_path, bridge, scan), scan, STRUCTURES)
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    logic.SetSegmentStatus(node.GetSegmentation().GetSegment(SPLEEN.id), logic.Completed)
    bridge.showSegmentation(written(tmp_path, bridge, scan, 1), scan, STRUCTURES)
    kept = node.GetSegmentation().GetSegmentIdBySegmentName("spleen (corrected)")
    np.testing.assert_array_equal(voxels(node, kept), masks()[SPLEEN.id])


def test_a_person_s_segment_of_the_same_name_stays(tmp_path, bridge, scan):
    node = bridge.showSegmentation(written(tmp_path, bridge, scan, structures=[SPLEEN]), scan, [SPLEEN])
    own = node.GetSegmentation().AddEmptySegment("own", "left kidney")
    theirs = draw(node, own)
    bridge.showSegmentation(written(tmp_path, bridge, scan), scan, STRUCTURES)
    np.testing.assert_array_equal(voxels(node, own), theirs)
    assert node.GetSegmentation().GetNumberOfSegments() == 4


def surface(node, segmentId):
    """Return the bounds of the surface of a segment."""
    return node.GetSegmentation().GetSegment(segmentId).GetRepresentation("Closed surface").GetBounds()


def test_surfaces_follow(tmp_path, bridge, scan):
    node = bridge.showSegmentation(written(tmp_path, bridge, scan), scan, STRUCTURES)
    node.CreateClosedSurfaceRepresentation()
    before = {structure.id: surface(node, structure.id) for structure in STRUCTURES}
    bridge.showSegmentation(written(tmp_path, bridge, scan, 2), scan, STRUCTURES)
    assert surface(node, KIDNEY.id) != before[KIDNEY.id]
    assert surface(node, TUMOUR.id) == pytest.approx(before[TUMOUR.id])
    undo(bridge)
    assert surface(node, KIDNEY.id) == pytest.approx(before[KIDNEY.id])


def test_a_corrected_segment_keeps_its_surface(tmp_path, bridge, scan):
    node = bridge.showSegmentation(written(tmp_path, bridge, scan), scan, STRUCTURES)
    draw(node, KIDNEY.id)
    node.CreateClosedSurfaceRepresentation()
    theirs = surface(node, KIDNEY.id)
    bridge.showSegmentation(written(tmp_path, bridge, scan, 2), scan, STRUCTURES)
    kept = node.GetSegmentation().GetSegmentIdBySegmentName("left kidney (corrected)")
    assert surface(node, kept) == pytest.approx(theirs)
    assert surface(node, KIDNEY.id) != pytest.approx(theirs)
    undo(bridge)
    assert surface(node, KIDNEY.id) == pytest.approx(theirs)


def test_what_came_from_a_model_is_known_after_saving_and_loading(tmp_path, bridge, scan):
    node = bridge.showSegmentation(written(tmp_path, bridge, scan), scan, STRUCTURES)
    theirs = draw(node, SPLEEN.id, status=False)
    slicer.mrmlScene.SetRootDirectory(str(tmp_path))
    assert slicer.mrmlScene.WriteToMRB(str(tmp_path / "scene.mrb"), None)
    bridge.endScene()
    slicer.mrmlScene.Clear(0)
    assert slicer.mrmlScene.ReadFromMRB(str(tmp_path / "scene.mrb"), False, None)
    scan, node = slicer.util.getNode("Abdomen"), slicer.util.getNode("Abdomen structures")
    assert bridge.showSegmentation(written(tmp_path, bridge, scan, 2), scan, STRUCTURES) is node
    segmentation = node.GetSegmentation()
    names = {segmentation.GetSegment(found).GetName() for found in segmentation.GetSegmentIDs()}
    assert names == {"left kidney", "tumour", "spleen", "spleen (corrected)"}
    np.testing.assert_array_equal(voxels(node, segmentation.GetSegmentIdBySegmentName("spleen (corrected)")), theirs)


def test_a_large_result_is_read_in_pieces(tmp_path, bridge, scan, defer, monkeypatch):
    monkeypatch.setattr(NrrdSlabs, "SLAB_BYTES", 200)
    path = written(tmp_path, bridge, scan)
    nodes = slicer.mrmlScene.GetNumberOfNodes()
    reading = bridge.readSegmentation(path, defer)
    pieces = 0
    while defer:
        assert not reading.done
        defer.popleft()()
        pieces += 1
    assert pieces > len(STRUCTURES) + 5
    assert slicer.mrmlScene.GetNumberOfNodes() == nodes
    node = bridge.showSegmentation(reading, scan, STRUCTURES)
    for structure in STRUCTURES:
        np.testing.assert_array_equal(voxels(node, structure.id), masks()[structure.id])


@pytest.mark.parametrize("empty", [[KIDNEY], STRUCTURES], ids=len)
def test_structures_that_were_not_found_are_empty_segments(tmp_path, bridge, scan, empty):
    path, found = written(tmp_path, bridge, scan), masks()
    for structure in empty:
        found[structure.id][:] = False
    write_seg_nrrd(
        path, found, read_volume(bridge.exportVolume(scan, tmp_path, lambda act: act()).path).grid, STRUCTURES
    )
    node = bridge.showSegmentation(path, scan, STRUCTURES)
    for structure in STRUCTURES:
        np.testing.assert_array_equal(voxels(node, structure.id), found[structure.id])
    bridge.showSegmentation(path, scan, STRUCTURES)
    assert node.GetSegmentation().GetNumberOfSegments() == 3
