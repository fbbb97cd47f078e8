"""A result can be taken back."""

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed: pip install slicer-core")
vtk = pytest.importorskip("vtk")
from IncrementalSegPanel.scene import Examples  # noqa: E402
from IncrementalSegPanel.scene.Results import Undone  # noqa: E402
from mrml.segmented import KIDNEY, SPLEEN, STRUCTURES, TUMOUR, content, draw, undo, voxels, written  # noqa: E402


def test_undo_removes_a_new_segmentation(tmp_path, bridge, scan):
    slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    nodes = slicer.mrmlScene.GetNumberOfNodes()
    bridge.showSegmentation(written(tmp_path, bridge, scan), scan, STRUCTURES)
    assert slicer.mrmlScene.GetNumberOfNodes() > nodes
    undo(bridge)
    assert slicer.mrmlScene.GetNumberOfNodes() == nodes
    undo(bridge)


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
    undo(bridge)
    assert content(node) == before


def test_undo_does_not_take_what_a_person_drew_since(tmp_path, bridge, scan):
    node = bridge.showSegmentation(written(tmp_path, bridge, scan), scan, STRUCTURES)
    theirs = draw(node, SPLEEN.id)
    undo(bridge)
    assert list(node.GetSegmentation().GetSegmentIDs()) == [SPLEEN.id]
    np.testing.assert_array_equal(voxels(node, SPLEEN.id), theirs)


def test_one_segment_is_looked_at_in_a_turn_and_none_twice(tmp_path, bridge, scan, monkeypatch):
    bridge.showSegmentation(written(tmp_path, bridge, scan), scan, STRUCTURES)
    looked, real = [], Examples.fingerprint
    monkeypatch.setattr(Examples, "fingerprint", lambda segment: looked.append(segment) or real(segment))
    undone, turns = undo(bridge)
    assert undone == Undone(taken=True)
    assert len(looked) == len(STRUCTURES)
    assert turns >= 2 + len(STRUCTURES)


def test_a_scene_that_is_closed_while_a_result_is_taken_back(tmp_path, bridge, scan, defer):
    node = bridge.showSegmentation(written(tmp_path, bridge, scan), scan, STRUCTURES)
    work = bridge.undoSegmentation(defer)
    defer.popleft()()
    slicer.mrmlScene.RemoveNode(node)
    defer.run()
    assert work.result == Undone(taken=False)


def test_the_segment_editor_s_own_undo_restores_it_too(tmp_path, bridge, scan, application):
    node = bridge.showSegmentation(written(tmp_path, bridge, scan), scan, STRUCTURES)
    before, history = content(node), slicer.vtkSegmentationHistory()
    history.SetSegmentation(node.GetSegmentation())
    application.saveUndoState = lambda _node: history.SaveState()
    bridge.showSegmentation(written(tmp_path, bridge, scan, 2), scan, STRUCTURES)
    assert history.GetNumberOfStates() == 1
    history.RestorePreviousState()
    assert content(node) == before
