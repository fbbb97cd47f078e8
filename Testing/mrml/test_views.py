"""The slice views show the scan that a person chooses; the place that they look at and everything else stays."""

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed: pip install slicer-core")
import vtk  # noqa: E402
from IncrementalSegPanel.scene.Application import Application  # noqa: E402
from IncrementalSegPanel.scene.SceneBridge import SceneBridge  # noqa: E402
from IncrementalSegPanel.scene.Visibility import SCAN_ROLE  # noqa: E402

PLACE = (12.0, -7.0, 5.0)


class Windows(Application):
    """Notes which views are fitted."""

    def __init__(self):
        self.fitted = []

    def fitViews(self, names):
        self.fitted += names


@pytest.fixture
def windows():
    return Windows()


@pytest.fixture
def bridge(windows):
    return SceneBridge(windows)


@pytest.fixture
def views():
    """Return three slice views that look at one place, zoomed in."""
    slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(slicer.mrmlScene)
    made = []
    for name, orientation in (("Red", "Axial"), ("Green", "Coronal"), ("Yellow", "Sagittal")):
        kinds = "vtkMRMLSliceNode", "vtkMRMLSliceCompositeNode"
        node, view = (slicer.mrmlScene.AddNewNodeByClass(kind, name) for kind in kinds)
        for one in (node, view):
            one.SetLayoutName(name)
        node.SetOrientation(orientation)
        node.SetFieldOfView(40.0, 30.0, 1.0)
        node.JumpSliceByCentering(*PLACE)
        made.append((view, node))
    return made


def scan(name, middle=PLACE):
    """Add a scan of 40 x 50 x 60 mm around a place."""
    matrix = np.diag([10.0, 10.0, 10.0, 1.0])
    matrix[:3, 3] = np.array(middle) - (15, 20, 25)  # the middle of its first voxel
    return slicer.util.addVolumeFromArray(np.zeros((6, 5, 4), np.int16), ijkToRAS=matrix, name=name)


def backgrounds(views):
    return {view.GetBackgroundVolumeID() for view, _node in views}


def everythingElse(*changing):
    """Return what the scene holds, but for what may change."""
    nodes = [slicer.mrmlScene.GetNthNode(number) for number in range(slicer.mrmlScene.GetNumberOfNodes())]
    kept = [node for node in nodes if node not in changing and not node.IsA("vtkMRMLSliceCompositeNode")]
    return {node.GetID(): (node.GetMTime(), str(node)) for node in kept}


def test_a_scan_at_the_same_place_is_shown_as_the_view_looks(bridge, windows, views):
    before, after = scan("before"), scan("after")
    bridge.showScan(before)
    windows.fitted.clear()
    kept = everythingElse()
    bridge.showScan(after)
    assert backgrounds(views) == {after.GetID()}
    assert windows.fitted == []
    assert everythingElse() == kept, "zoom, place or something else was changed"


@pytest.mark.parametrize("away", [(19.0, 0, 0), (0, 24.0, 0), (0, 0, 29.0)])
def test_a_scan_that_holds_the_middle_of_the_views_is_not_fitted(bridge, windows, views, away):
    bridge.showScan(scan("near", np.add(PLACE, away)))
    assert windows.fitted == []


@pytest.mark.parametrize("away", [(21.0, 0, 0), (0, 26.0, 0), (0, 0, -31.0), (500.0, 500.0, 500.0)])
def test_a_scan_elsewhere_is_fitted(bridge, windows, views, away):
    bridge.showScan(scan("far", np.add(PLACE, away)))
    assert windows.fitted == ["Red", "Green", "Yellow"]


def test_only_the_view_that_was_moved_away_is_fitted(bridge, windows, views):
    views[1][1].SetXYZOrigin(300.0, 0.0, 0.0)
    bridge.showScan(scan("one"))
    assert windows.fitted == ["Green"]


def test_a_transform_above_the_scan_counts(bridge, windows, views):
    moved = scan("moved", np.add(PLACE, (100.0, 0, 0)))
    back = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    matrix = vtk.vtkMatrix4x4()
    matrix.SetElement(0, 3, -100.0)
    back.SetMatrixTransformToParent(matrix)
    moved.SetAndObserveTransformNodeID(back.GetID())
    bridge.showScan(moved)
    assert windows.fitted == []


def test_a_view_that_shows_the_scan_already_stays_as_it_is_arranged(bridge, views):
    one, map_ = scan("one"), scan("map")
    view = views[0][0]
    view.SetBackgroundVolumeID(one.GetID())
    view.SetForegroundVolumeID(map_.GetID())
    bridge.showScan(one)
    assert view.GetForegroundVolumeID() == map_.GetID()


def test_results_follow_and_a_persons_own_outlines_stay(bridge, views):
    one, two = scan("one"), scan("two")
    nodes = [slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", name) for name in ("one", "two", "own")]
    for node in nodes:
        node.CreateDefaultDisplayNodes()
    for node, volume in zip(nodes, (one, two), strict=False):
        node.SetNodeReferenceID(SCAN_ROLE, volume.GetID())
    for volume, expected in ((one, [1, 0, 1]), (two, [0, 1, 1]), (one, [1, 0, 1])):
        bridge.showScan(volume)
        assert [node.GetDisplayVisibility() for node in nodes] == expected


def test_the_scene_s_undo_brings_the_scan_before_back(bridge, views):
    one, two = scan("one"), scan("two")
    bridge.showScan(one)
    for view, _node in views:
        view.SetUndoEnabled(True)
    slicer.mrmlScene.SetUndoOn()
    try:
        bridge.showScan(two)
        assert backgrounds(views) == {two.GetID()}
        slicer.mrmlScene.Undo()
        assert backgrounds(views) == {one.GetID()}
    finally:
        slicer.mrmlScene.SetUndoOff()
        slicer.mrmlScene.ClearUndoStack()
