"""Results are visible over the scan they belong to, and over no other; a new one always is."""

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed: pip install slicer-core")
from IncrementalSegPanel.scene.SceneBridge import SceneBridge  # noqa: E402

from IncrementalSegLib.structures import Structure  # noqa: E402
from IncrementalSegLib.volumes.io import read_volume  # noqa: E402
from IncrementalSegLib.volumes.seg_nrrd import write_seg_nrrd  # noqa: E402

KIDNEY = Structure.create("left kidney", 1)


@pytest.fixture
def bridge():
    return SceneBridge()


@pytest.fixture
def view():
    """Return a slice view."""
    return slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSliceCompositeNode")


def scan(name):
    return slicer.util.addVolumeFromArray(np.zeros((4, 5, 6), np.int16), name=name)


def segmented(bridge, volume, tmp_path):
    """Show a result of a scan."""
    export = bridge.exportVolume(volume, tmp_path, lambda act: act())
    mask = np.zeros((4, 5, 6), bool)
    mask[1:3, 1:3, 1:3] = True
    write_seg_nrrd(tmp_path / "scan.seg.nrrd", {KIDNEY.id: mask}, read_volume(export.path).grid, [KIDNEY])
    return bridge.showSegmentation(tmp_path / "scan.seg.nrrd", volume, [KIDNEY])


def visible(node):
    """Tell whether a person sees the kidney of a segmentation in the slice views."""
    display = node.GetDisplayNode()
    ways = (
        (display.GetVisibility2DFill(), display.GetOpacity2DFill(), display.GetSegmentVisibility2DFill(KIDNEY.id),
         display.GetSegmentOpacity2DFill(KIDNEY.id)),
        (display.GetVisibility2DOutline(), display.GetOpacity2DOutline(),
         display.GetSegmentVisibility2DOutline(KIDNEY.id), display.GetSegmentOpacity2DOutline(KIDNEY.id)),
    )  # fmt: skip
    whole = display.GetVisibility() and display.GetVisibility2D() and display.GetOpacity() > 0
    folder = (
        slicer.vtkMRMLFolderDisplayNode.GetHierarchyVisibility(node) or not display.GetFolderDisplayOverrideAllowed()
    )
    return bool(whole and folder and display.GetSegmentVisibility(KIDNEY.id) and any(map(all, ways)))


def test_the_next_scan_s_result_hides_the_one_before_and_shows_its_scan(bridge, view, tmp_path):
    one, two = scan("one"), scan("two")
    first = segmented(bridge, one, tmp_path)
    assert (view.GetBackgroundVolumeID(), visible(first)) == (one.GetID(), True)
    second = segmented(bridge, two, tmp_path)
    assert view.GetBackgroundVolumeID() == two.GetID()
    assert (visible(first), visible(second)) == (False, True)


def test_results_follow_what_the_views_show(bridge, view, tmp_path):
    one, two, without = scan("one"), scan("two"), scan("without a result")
    first, second = segmented(bridge, one, tmp_path), segmented(bridge, two, tmp_path)
    heard = []
    bridge.watch(lambda: heard.append(view.GetBackgroundVolumeID()))
    for shown, expected in (
        (one, (True, False)),
        (two, (False, True)),
        (without, (False, False)),
        (one, (True, False)),
    ):
        view.SetBackgroundVolumeID(shown.GetID())
        assert (visible(first), visible(second)) == expected
    view.SetForegroundVolumeID(two.GetID())  # both are shown, one over the other
    assert (visible(first), visible(second)) == (True, True)
    assert heard == [one.GetID(), two.GetID(), without.GetID(), one.GetID(), one.GetID()]
    bridge.unwatch()
    view.SetBackgroundVolumeID(without.GetID())
    assert len(heard) == 5


def test_what_a_person_has_hidden_stays_hidden_when_its_scan_is_back(bridge, view, tmp_path):
    one, two = scan("one"), scan("two")
    first = segmented(bridge, one, tmp_path)
    bridge.watch(lambda: None)
    first.SetDisplayVisibility(False)
    view.SetBackgroundVolumeID(two.GetID())
    view.SetBackgroundVolumeID(one.GetID())
    assert not visible(first)
    bridge.unwatch()


def test_a_person_s_own_segmentations_are_left_alone(bridge, view, tmp_path):
    own = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "by hand")
    own.CreateDefaultDisplayNodes()
    own.SetReferenceImageGeometryParameterFromVolumeNode(scan("one"))
    segmented(bridge, scan("two"), tmp_path)
    assert own.GetDisplayVisibility()


def by_eye(node):
    node.SetDisplayVisibility(False)


def in_slices(node):
    node.GetDisplayNode().SetVisibility2D(False)


def by_segment(node):
    node.GetDisplayNode().SetSegmentVisibility(KIDNEY.id, False)


def without_fill_and_outline(node):
    node.GetDisplayNode().SetVisibility2DFill(False)
    node.GetDisplayNode().SetVisibility2DOutline(False)


def segment_without_fill_and_outline(node):
    node.GetDisplayNode().SetSegmentVisibility2DFill(KIDNEY.id, False)
    node.GetDisplayNode().SetSegmentVisibility2DOutline(KIDNEY.id, False)


def transparent(node):
    node.GetDisplayNode().SetOpacity(0)


def transparent_in_slices(node):
    node.GetDisplayNode().SetOpacity2DFill(0)
    node.GetDisplayNode().SetOpacity2DOutline(0)


def transparent_segment(node):
    node.GetDisplayNode().SetSegmentOpacity2DFill(KIDNEY.id, 0)
    node.GetDisplayNode().SetSegmentOpacity2DOutline(KIDNEY.id, 0)


def by_folder(node):
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    folder = hierarchy.CreateFolderItem(hierarchy.GetSceneItemID(), "folder")
    display = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLFolderDisplayNode", "folder")
    hierarchy.SetItemDataNode(folder, display)
    hierarchy.SetItemParent(hierarchy.GetItemByDataNode(node), folder)
    display.SetVisibility(False)


@pytest.mark.parametrize(
    "hide",
    [by_eye, in_slices, by_segment, without_fill_and_outline, segment_without_fill_and_outline, transparent,
     transparent_in_slices, transparent_segment, by_folder],
)  # fmt: skip
def test_a_new_result_is_visible_however_the_one_before_was_hidden(bridge, view, tmp_path, hide):
    volume = scan("one")
    node = segmented(bridge, volume, tmp_path)
    assert visible(node)
    hide(node)
    assert not visible(node)
    assert segmented(bridge, volume, tmp_path) is node
    assert visible(node)


def test_a_segmentation_without_display_gets_one(bridge, tmp_path):
    volume = scan("one")
    node = segmented(bridge, volume, tmp_path)
    slicer.mrmlScene.RemoveNode(node.GetDisplayNode())
    segmented(bridge, volume, tmp_path)
    assert visible(node)
