"""What a person corrected is the person's, what a model made is the model's, however often both happen."""

import numpy as np
import pytest
import slicer
from IncrementalSegPanel.State import State
from panel.shoulders import IDS, begin, result
from standin.events import settle
from standin.window import segmentEditor

HUMERUS = IDS["humerus"]
LOGIC = slicer.vtkSlicerSegmentationsModuleLogic


def segment(ready, *where):
    """Segment the scan again; the voxels that are found depend on ``where``."""
    if ready.session.state is State.DONE:
        ready.session.segmenting.close()
    ready.panel.render()
    begin(ready)
    voxels = slicer.util.array(ready.scan.GetID()).copy()
    voxels[:] = 0
    voxels[where or (slice(1, 3), slice(2, 9), slice(2, 9))] = 1000
    result(ready, {"humerus": 1.0, "scapula": 1.0, "deltoid": 1.0}, voxels)
    ready.panel.render()
    return ready.session.segmenting.outcome.segmentation


@pytest.fixture
def editor(ready, mainWindow):
    """Segment, and open the Segment Editor on the humerus that was found."""
    segment(ready)
    ready.ui.correctButton.click()
    found = segmentEditor()
    assert found.currentSegmentID() == HUMERUS
    return found


def names(node):
    segmentation = node.GetSegmentation()
    return [segmentation.GetNthSegment(number).GetName() for number in range(segmentation.GetNumberOfSegments())]


def candidates(ready):
    return {example.name: example for example in ready.session.bridge.candidates("humerus")}


def statuses(node):
    segmentation = node.GetSegmentation()
    return {found: LOGIC.GetSegmentStatus(segmentation.GetSegment(found)) for found in segmentation.GetSegmentIDs()}


def test_after_a_correction_the_next_result_is_the_model_s(ready, editor):
    editor.paint(0, 0, 0)
    for run in range(3):
        node = segment(ready, slice(1, 3), slice(2, 9), slice(2 + run, 9))
        assert names(node) == ["humerus (corrected)", "humerus", "scapula", "deltoid"]
        assert {found: status for found, status in statuses(node).items() if found in IDS.values()} == dict.fromkeys(
            IDS.values(), LOGIC.NotStarted
        )
        found = candidates(ready)
        assert [name for name in found if not found[name].uncorrected] == ["humerus (corrected)"]


def test_after_a_correction_the_result_can_be_undone(ready, editor):
    editor.paint(0, 0, 0)
    theirs = slicer.util.arrayFromSegmentBinaryLabelmap(editor.segmentationNode(), HUMERUS, ready.scan).copy()
    node = segment(ready, slice(1, 3), slice(5, 9), slice(5, 9))
    ready.ui.undoButton.click()
    ready.session.defer.run()
    assert names(node) == ["humerus", "scapula", "deltoid"]
    np.testing.assert_array_equal(slicer.util.arrayFromSegmentBinaryLabelmap(node, HUMERUS, ready.scan), theirs)
    assert statuses(node)[HUMERUS] == LOGIC.InProgress  # it is the person's again
    assert ready.session.warnings == []


def test_several_corrections_in_a_row_are_all_kept(ready, editor):
    for run in range(3):
        editor.paint(0, run, run)
        segment(ready, slice(1, 3), slice(2, 9), slice(2 + run, 9))
    node = editor.segmentationNode()
    assert names(node)[:4] == [
        "humerus (corrected)", "humerus (corrected) 2", "humerus (corrected) 3", "humerus"
    ]  # fmt: skip
    found = candidates(ready)
    assert found["humerus"].uncorrected
    assert not any(found[name].uncorrected for name in names(node)[:3])


def test_names_and_colours_survive_what_the_table_of_segments_writes_back(ready, editor):
    editor.paint(0, 0, 0)
    humerus = editor.segmentationNode().GetSegmentation().GetSegment(HUMERUS)
    humerus.SetName("Oberarm")
    humerus.SetColor(0, 0, 1)
    node = segment(ready)
    kept = node.GetSegmentation().GetSegment(node.GetSegmentation().GetSegmentIdBySegmentName("Oberarm (corrected)"))
    assert kept.GetColor() == (0, 0, 1)
    fresh = node.GetSegmentation().GetSegment(HUMERUS)
    assert fresh.GetName() == "humerus"
    assert [round(255 * part) for part in fresh.GetColor()] == [200, 0, 90]


@pytest.mark.parametrize("status", ["InProgress", "Flagged"])
def test_a_status_alone_makes_no_example(ready, editor, status):
    LOGIC.SetSegmentStatus(editor.segmentationNode().GetSegmentation().GetSegment(HUMERUS), getattr(LOGIC, status))
    assert candidates(ready)["humerus"].uncorrected
    assert not candidates(ready)["humerus"].edited


def test_what_a_person_calls_completed_is_an_example(ready, editor):
    LOGIC.SetSegmentStatus(editor.segmentationNode().GetSegmentation().GetSegment(HUMERUS), LOGIC.Completed)
    assert not candidates(ready)["humerus"].uncorrected


def test_a_scripted_edit_is_a_correction(ready, editor):
    node = editor.segmentationNode()
    array = slicer.util.arrayFromSegmentBinaryLabelmap(node, HUMERUS, ready.scan).copy()
    array[0, 0, 0] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(array, node, HUMERUS, ready.scan)
    assert not candidates(ready)["humerus"].uncorrected
    assert candidates(ready)["scapula"].uncorrected


def test_undo_and_redo_in_the_editor_are_seen(ready, editor):
    assert candidates(ready)["humerus"].uncorrected
    editor.paint(0, 0, 0)
    assert not candidates(ready)["humerus"].uncorrected
    editor.undo()
    assert candidates(ready)["humerus"].uncorrected
    editor.redo()
    assert not candidates(ready)["humerus"].uncorrected


def test_undo_in_the_editor_takes_a_result_back(ready, editor):
    node = editor.segmentationNode()
    before = slicer.util.arrayFromSegmentBinaryLabelmap(node, HUMERUS, ready.scan).copy()
    segment(ready, slice(1, 3), slice(5, 9), slice(5, 9))
    editor.undo()
    np.testing.assert_array_equal(slicer.util.arrayFromSegmentBinaryLabelmap(node, HUMERUS, ready.scan), before)


def test_undo_says_what_stays(ready, editor):
    editor.paint(0, 0, 0)
    ready.ui.undoButton.click()
    ready.session.defer.run()
    assert names(editor.segmentationNode()) == ["humerus"]
    assert ready.session.warnings == ["Not removed, because changed since: humerus."]


def test_undo_says_when_all_was_changed(ready, editor):
    for name in IDS.values():
        editor.setCurrentSegmentID(name)
        editor.paint(0, 0, 0)
    ready.ui.undoButton.click()
    ready.session.defer.run()
    assert names(editor.segmentationNode()) == ["humerus", "scapula", "deltoid"]
    assert ready.session.warnings == [
        "There is nothing to undo: what was found has been changed since (humerus, scapula, deltoid)."
    ]


def test_undo_says_when_the_result_is_gone(ready, editor):
    node = editor.segmentationNode()
    editor.setSegmentationNode(None)
    slicer.mrmlScene.RemoveNode(node)
    ready.ui.undoButton.click()
    ready.session.defer.run()
    settle()
    assert ready.session.warnings == ["There is nothing to undo: the result is not in the scene any more."]
