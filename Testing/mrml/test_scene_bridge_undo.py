"""A result can be taken back."""

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed: pip install slicer-core")
vtk = pytest.importorskip("vtk")
from mrml.segmented import KIDNEY, SPLEEN, STRUCTURES, TUMOUR, content, draw, voxels, written  # noqa: E402


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
