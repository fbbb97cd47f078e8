"""What a model outlined appears in the scene; what a person drew is never touched, and all can be taken back."""

from contextlib import contextmanager

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed: pip install slicer-core")
vtk = pytest.importorskip("vtk")
from IncrementalSegPanel.scene import NrrdSlabs  # noqa: E402
from IncrementalSegPanel.scene.Application import Application  # noqa: E402
from IncrementalSegPanel.scene.SceneBridge import SceneBridge  # noqa: E402
from vtk.util.numpy_support import vtk_to_numpy  # noqa: E402

from IncrementalSegLib.errors import DataError, GeometryError  # noqa: E402
from IncrementalSegLib.structures import Structure  # noqa: E402
from IncrementalSegLib.volumes.io import read_volume, write_volume  # noqa: E402
from IncrementalSegLib.volumes.seg_nrrd import write_seg_nrrd  # noqa: E402

STRUCTURES = [Structure.create(name, 1) for name in ("left kidney", "tumour", "spleen")]
KIDNEY, TUMOUR, SPLEEN = STRUCTURES
SHAPE = (8, 9, 10)


class Recorder(Application):
    """Notes what the bridge asks for."""

    def __init__(self):
        self.saved, self.paused, self.opened = [], 0, []

    @contextmanager
    def pausedRendering(self):
        self.paused += 1
        yield

    def saveUndoState(self, segmentationNode):
        ids = segmentationNode.GetSegmentation().GetSegmentIDs()
        self.saved.append((segmentationNode.GetID(), {found: voxels(segmentationNode, found).sum() for found in ids}))

    def openSegmentEditor(self, *nodes):
        self.opened.append(nodes)


@pytest.fixture
def application():
    return Recorder()


@pytest.fixture
def bridge(application):
    return SceneBridge(application)


@pytest.fixture
def scan():
    matrix = np.array([[0, -1.5, 0, 4], [0.5, 0, 0, -3], [0, 0, 3.0, 2], [0, 0, 0, 1]])
    array = np.random.default_rng(0).integers(0, 100, SHAPE).astype(np.int16)
    return slicer.util.addVolumeFromArray(array, ijkToRAS=matrix, name="Abdomen")


def masks(shift=0):
    found = {structure.id: np.zeros(SHAPE, bool) for structure in STRUCTURES}
    found[KIDNEY.id][1:5, 1:5, 1 + shift : 6 + shift] = True
    found[TUMOUR.id][2:4, 2:4, 2:4] = True  # inside the kidney
    found[SPLEEN.id][6:8, 5:9, 2 : 5 + shift] = True
    return found


def written(tmp_path, bridge, scan, shift=0, structures=STRUCTURES):
    """Write a result as the worker does: on the grid of the scan that it was given."""
    export = bridge.exportVolume(scan, tmp_path, lambda act: act())
    path = tmp_path / "scan.seg.nrrd"
    write_seg_nrrd(path, masks(shift), read_volume(export.path).grid, structures)
    return path


def voxels(node, segmentId, scan=None):
    scan = scan or node.GetNodeReference(node.GetReferenceImageGeometryReferenceRole())
    return slicer.util.arrayFromSegmentBinaryLabelmap(node, segmentId, scan).astype(bool)


def content(node):
    """Return everything of a segmentation that a person sees."""
    segmentation = node.GetSegmentation()
    found = {}
    for segmentId in segmentation.GetSegmentIDs():
        segment = segmentation.GetSegment(segmentId)
        found[segmentId] = (
            segment.GetName(),
            segment.GetColor(),
            segment.GetTerminology(),
            voxels(node, segmentId).tobytes(),
        )
    return found


def draw(node, segmentId, where=(slice(7, 8), slice(0, 2), slice(0, 2)), status=True):
    array = voxels(node, segmentId)
    array[where] = True
    scan = node.GetNodeReference(node.GetReferenceImageGeometryReferenceRole())
    slicer.util.updateSegmentBinaryLabelmapFromArray(array.astype(np.uint8), node, segmentId, scan)
    if status:  # as the Segment Editor does
        logic = slicer.vtkSlicerSegmentationsModuleLogic
        logic.SetSegmentStatus(node.GetSegmentation().GetSegment(segmentId), logic.InProgress)
    return array


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


def test_undo_removes_a_new_segmentation(tmp_path, bridge, scan):
    slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    nodes = slicer.mrmlScene.GetNumberOfNodes()
    bridge.showSegmentation(written(tmp_path, bridge, scan), scan, STRUCTURES)
    assert slicer.mrmlScene.GetNumberOfNodes() > nodes
    bridge.undoSegmentation()
    assert slicer.mrmlScene.GetNumberOfNodes() == nodes
    bridge.undoSegmentation()


@pytest.mark.parametrize("corrected", [False, True])
@pytest.mark.parametrize("structures", [STRUCTURES, [KIDNEY], [TUMOUR, SPLEEN]], ids=len)
def test_undo_restores_what_was_there(tmp_path, bridge, scan, corrected, structures):
    node = bridge.showSegmentation(written(tmp_path, bridge, scan), scan, [KIDNEY, SPLEEN])
    draw(node, node.GetSegmentation().AddEmptySegment("mine", "Mine"))
    if corrected:
        draw(node, KIDNEY.id)
    before = content(node)
    bridge.showSegmentation(written(tmp_path, bridge, scan, 2, structures), scan, structures)
    assert content(node) != before
    bridge.undoSegmentation()
    assert content(node) == before


def test_undo_does_not_take_what_a_person_drew_since(tmp_path, bridge, scan):
    node = bridge.showSegmentation(written(tmp_path, bridge, scan), scan, STRUCTURES)
    theirs = draw(node, SPLEEN.id)
    bridge.undoSegmentation()
    assert list(node.GetSegmentation().GetSegmentIDs()) == [SPLEEN.id]
    np.testing.assert_array_equal(voxels(node, SPLEEN.id), theirs)


def test_the_segment_editor_s_own_undo_restores_it_too(tmp_path, bridge, scan, application):
    node = bridge.showSegmentation(written(tmp_path, bridge, scan), scan, STRUCTURES)
    before, history = content(node), slicer.vtkSegmentationHistory()
    history.SetSegmentation(node.GetSegmentation())
    application.saveUndoState = lambda _node: history.SaveState()
    bridge.showSegmentation(written(tmp_path, bridge, scan, 2), scan, STRUCTURES)
    assert history.GetNumberOfStates() == 1
    history.RestorePreviousState()
    assert content(node) == before


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
    bridge.undoSegmentation()
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
    bridge.undoSegmentation()
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


def test_a_damaged_result_leaves_the_scene_as_it_was(tmp_path, bridge, scan):
    nodes = slicer.mrmlScene.GetNumberOfNodes()
    with pytest.raises(DataError, match="cannot be read"):
        bridge.showSegmentation(tmp_path / "missing.seg.nrrd", scan, STRUCTURES)
    assert slicer.mrmlScene.GetNumberOfNodes() == nodes


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
    for show in (lambda: bridge.showSegmentation(path, scan, STRUCTURES), lambda: bridge.showUncertainty(path, scan)):
        with pytest.raises(DataError, match="not in the scene"):
            show()
    assert slicer.mrmlScene.GetNumberOfNodes() == nodes


def test_the_scene_may_close_at_any_time(tmp_path, bridge, scan):
    bridge.showSegmentation(written(tmp_path, bridge, scan), scan, STRUCTURES)
    slicer.mrmlScene.Clear(0)
    bridge.undoSegmentation()
    bridge.hideUncertainty()
    bridge.endScene()
    assert bridge.candidates() == []


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
        node = bridge.showUncertainty(tmp_path / "map.nrrd", scan)
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
    bridge.hideUncertainty()
    assert slicer.mrmlScene.GetNumberOfNodes() == nodes
    assert (views[0].GetForegroundVolumeID(), views[0].GetForegroundOpacity()) == (other.GetID(), 0.7)
    assert views[1].GetBackgroundVolumeID() is None


def test_a_missing_map_is_a_sentence(tmp_path, bridge, scan):
    nodes = slicer.mrmlScene.GetNumberOfNodes()
    with pytest.raises(DataError, match="cannot be read"):
        bridge.showUncertainty(tmp_path / "missing.nrrd", scan)
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
