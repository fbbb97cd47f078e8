"""The page that segments, on the stand-in; once with the real bridge and a real worker process."""

from dataclasses import replace

import pytest
import qt
import slicer
from IncrementalSegPanel.Parameters import IncrementalSegParameterNode
from IncrementalSegPanel.State import State
from panel.shoulders import IDS, SMALL, begin, choose, result, summary
from phantom_scene import add_shoulder
from scripted_worker import open_model
from standin.screenshot import screenshot
from standin.window import segmentEditor

from IncrementalSegLib.wire import events


def rows(tree):
    """Return the rows of a tree that a person sees: texts, and whether they are checked."""
    found = []
    root = tree.invisibleRootItem()
    for place in range(root.childCount()):
        top = root.child(place)
        members = [top.child(index) for index in range(top.childCount())]
        found += [(row.text(0), row.checkState(0)) for row in (top, *members) if not row.isHidden()]
    return found


def nodes():
    """Return the ids of all nodes in the scene."""
    scene = slicer.mrmlScene
    return {scene.GetNthNode(index).GetID() for index in range(scene.GetNumberOfNodes())}


def test_heads_are_grouped_and_tell_what_they_are(ready):
    checked = qt.Qt.Checked
    assert rows(ready.ui.headsTree) == [
        ("Anatomical Structure", checked),
        ("humerus", checked),
        ("scapula", checked),
        ("Other", checked),
        ("deltoid", checked),
    ]
    humerus = ready.ui.headsTree.topLevelItem(0).child(0)
    assert [humerus.text(column) for column in range(4)] == ["humerus", "0.91", "4", "2026-10-01"]
    assert humerus.toolTip(0) == "Humerus, Left"
    assert ready.ui.headsTree.topLevelItem(1).child(0).text(1) == "–"


def test_one_group_needs_no_heading(ready):
    two = summary()["structures"][:2]
    ready.session.model = open_model(summary(structures=two))
    ready.panel.render()
    assert [name for name, _checked in rows(ready.ui.headsTree)] == ["humerus", "scapula"]


def test_unchecking_leaves_a_head_out_and_a_group_all_of_its_heads(ready):
    tree = ready.ui.headsTree
    tree.topLevelItem(0).child(0).setCheckState(0, qt.Qt.Unchecked)
    assert ready.session.parameters.leftOut == [IDS["humerus"]]
    assert tree.topLevelItem(0).checkState(0) == qt.Qt.PartiallyChecked
    tree.topLevelItem(0).setCheckState(0, qt.Qt.Unchecked)
    assert set(ready.session.parameters.leftOut) == {IDS["humerus"], IDS["scapula"]}
    ready.panel.render()
    assert [head.name for head in ready.session.segmenting.chosen] == ["deltoid"]
    assert tree.topLevelItem(0).checkState(0) == qt.Qt.Unchecked


def test_the_search_hides_and_all_and_none_act_on_what_is_shown(ready):
    ready.ui.searchBox.setText("left hum")
    assert [name for name, _checked in rows(ready.ui.headsTree)] == ["Anatomical Structure", "humerus"]
    ready.ui.noneButton.click()
    assert ready.session.parameters.leftOut == [IDS["humerus"]]
    ready.ui.searchBox.setText("")
    assert len(rows(ready.ui.headsTree)) == 5
    ready.ui.noneButton.click()
    ready.panel.render()
    assert ready.session.segmenting.chosen == []
    assert not ready.ui.segmentButton.enabled
    assert "Check at least one structure" in ready.ui.segmentButton.toolTip
    assert ready.ui.deviceLabel.text == "Check at least one structure."
    ready.ui.allButton.click()
    ready.panel.render()
    assert ready.ui.segmentButton.enabled
    assert "Check at least" not in ready.ui.segmentButton.toolTip


def test_a_search_survives_a_new_head(ready):
    ready.ui.searchBox.setText("scapula")
    more = [
        *summary()["structures"],
        {"id": "f" * 32, "name": "clavicle", "step": 2, "color": [1, 2, 3], "terminology": None},
    ]
    ready.session.model = open_model(summary(structures=more))
    ready.panel.render()
    assert [name for name, _checked in rows(ready.ui.headsTree)] == ["Anatomical Structure", "scapula"]


def test_choices_are_kept_with_the_scene(ready):
    ready.ui.uncertaintyBox.click()
    ready.ui.headsTree.topLevelItem(1).child(0).setCheckState(0, qt.Qt.Unchecked)
    again = IncrementalSegParameterNode(ready.session.parameters.parameterNode)
    assert again.uncertainty
    assert again.leftOut == [IDS["deltoid"]]
    assert again.inputVolume is ready.scan


def test_the_shown_scan_is_chosen_and_another_can_be(ready):
    other, _outlines = add_shoulder("MR 13", 2, {"humerus": "humerus"}, SMALL)
    assert ready.ui.volumeSelector.currentNode() is ready.scan
    ready.ui.volumeSelector.setCurrentNode(other)
    assert ready.session.segmenting.volume is other


def test_a_list_of_scans_that_a_person_has_opened_stays_open(ready, monkeypatch):
    """Slicer closes the list whenever a node is set."""
    set_again = []
    monkeypatch.setattr(slicer.qMRMLNodeComboBox, "setCurrentNode", lambda _self, node: set_again.append(node))
    ready.panel.render()
    assert set_again == []


def test_the_scan_of_the_views_is_chosen_at_first(session, panel, tmp_path):
    add_shoulder("MR 1", 1, {"humerus": "humerus"}, SMALL)
    shown, _outlines = add_shoulder("MR 2", 2, {"humerus": "humerus"}, SMALL)
    logic = slicer.app.applicationLogic()
    logic.GetSelectionNode().SetActiveVolumeID(shown.GetID())
    session.model, session.folder = open_model(summary()), tmp_path
    session.home()
    panel.render()
    assert session.parameters.inputVolume is None  # nobody has chosen one
    assert session.segmenting.volume is shown
    assert panel.page.ui.volumeSelector.currentNode() is shown


def test_there_is_one_primary_button_in_each_state(ready):
    shown = ("segmentButton", "cancelButton", "correctButton")

    def visible():
        ready.panel.widget.show()
        return [name for name in shown if getattr(ready.ui, name).visible]

    assert visible() == ["segmentButton"]
    assert ready.page.primary is ready.ui.segmentButton
    begin(ready)
    assert visible() == ["cancelButton"]
    assert ready.page.primary is ready.ui.cancelButton
    result(ready, {"humerus": 41.7})
    ready.panel.render()
    assert visible() == ["correctButton"]
    assert ready.page.primary is ready.ui.correctButton


def test_what_cannot_be_changed_while_it_runs_says_why(ready):
    begin(ready)
    for widget in (ready.ui.volumeSelector, ready.ui.headsTree, ready.ui.allButton, ready.ui.uncertaintyBox):
        assert not widget.enabled
        assert "cancel it" in widget.toolTip
    ready.ui.cancelButton.click()
    ready.session.worker.last("segment").say(events.Cancelled("", kept=False))
    ready.panel.render()
    assert ready.ui.headsTree.enabled
    assert "cancel it" not in ready.ui.headsTree.toolTip


def test_progress_has_words_and_a_bar(ready):
    asked = begin(ready)
    assert (ready.ui.progressLabel.text, ready.ui.progressBar.maximum) == ("Starting", 0)
    asked.say(events.Progressed("", "segmenting", 0.25, 61.0))
    ready.panel.render()
    assert ready.ui.progressLabel.text == "Segmenting · about 1 min left"
    assert (ready.ui.progressBar.value, ready.ui.progressBar.maximum) == (300, 1000)


def test_the_result_lists_what_was_found_and_what_was_not(ready):
    begin(ready)
    result(ready, {"humerus": 41.73, "deltoid": 0.021})
    ready.panel.render()
    tree = ready.ui.resultTree
    texts = [[tree.topLevelItem(row).text(column) for column in (0, 1)] for row in range(tree.topLevelItemCount)]
    assert texts == [["humerus", "41.7 ml"], ["deltoid", "0.021 ml"], ["scapula", "not found"]]
    assert ready.ui.resultLabel.text == "2 of 3 structures found in a few seconds."
    node = ready.session.parameters.segmentation
    assert ready.ui.show3DButton.segmentationNode() is node
    assert node.GetSegmentation().GetNumberOfSegments() == 3
    assert not ready.ui.overlayButton.enabled
    assert "Map of uncertainty" in ready.ui.overlayButton.toolTip


def test_similarity_is_offered_where_the_model_has_directions(ready):
    begin(ready)
    result(ready, {"humerus": 41.7})
    ready.panel.widget.show()
    ready.panel.render()
    assert not ready.ui.similarityFrame.visible
    ready.session.model = open_model(summary(output="embedding"))
    ready.panel.render()
    combo = ready.ui.similarityCombo
    assert ready.ui.similarityFrame.visible
    assert [combo.itemText(row) for row in range(combo.count)] == ["none", "humerus", "scapula", "deltoid"]
    choose(combo, "scapula")
    assert ready.session.worker.last("segment").arguments["similarity"] == "scapula"
    ready.panel.render()
    assert (combo.currentText, ready.ui.overlayLabel.text) == ("scapula", "Computing the map of similarity")
    choose(combo, "none")
    ready.panel.render()
    assert (combo.currentText, ready.ui.overlayLabel.visible) == ("none", False)


def test_one_structure_is_counted_as_one(ready):
    begin(ready)
    result(ready, {"humerus": 41.7})
    ready.panel.render()
    outcome = ready.session.segmenting.outcome
    ready.session.segmenting.outcome = replace(outcome, missing=())
    ready.panel.render()
    assert ready.ui.resultLabel.text == "1 of 1 structure found in a few seconds."


def test_a_result_can_teach_its_selected_structure(ready):
    begin(ready)
    result(ready, {"humerus": 41.7, "scapula": 20.0})
    ready.panel.render()
    node = ready.session.parameters.segmentation
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    ready.ui.resultTree.setCurrentItem(ready.ui.resultTree.topLevelItem(1))
    ready.ui.exampleButton.click()
    flow = ready.session.teaching.collecting
    assert (flow.name, flow.improve) == ("scapula", True)
    assert flow.rows[0].example.segmentationId == node.GetID()  # before other outlines of the scene
    assert len(flow.rows) > 1
    assert not flow.rows[0].ticked
    assert "nobody corrected" in " ".join(flow.rows[0].example.hints)
    logic.SetSegmentStatus(node.GetSegmentation().GetSegment(IDS["scapula"]), logic.Completed)
    flow.refresh()
    assert flow.rows[0].ticked


def test_correct_opens_the_selected_structure(ready, mainWindow):
    begin(ready)
    result(ready, {"humerus": 41.7, "scapula": 20.0})
    ready.panel.render()
    ready.ui.resultTree.setCurrentItem(ready.ui.resultTree.topLevelItem(1))
    ready.panel.pressPrimary()
    editor = segmentEditor()
    assert editor.segmentationNode() is ready.session.parameters.segmentation
    assert editor.currentSegmentID() == IDS["scapula"]


def test_undo_leaves_the_scene_as_it_was(ready):
    before = nodes()
    begin(ready)
    result(ready, {"humerus": 41.7})
    ready.panel.render()
    ready.ui.undoButton.click()
    ready.session.defer.run()
    assert ready.session.state is State.READY
    assert nodes() - before <= {"vtkMRMLSubjectHierarchyNode1"}


def test_a_scan_that_vanishes_while_it_is_segmented_is_one_sentence(ready):
    begin(ready)
    voxels = slicer.util.array(ready.scan.GetID())
    slicer.mrmlScene.RemoveNode(ready.scan)
    result(ready, {"humerus": 1.0}, voxels)
    assert ready.session.state is State.READY
    assert "not in the scene any more" in ready.session.failure.what
    assert [node.GetName() for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode")] == ["MR 12 outlines"]


def test_escape_cancels_and_then_leaves_the_result(ready):
    begin(ready)
    ready.panel.escape()
    assert ready.session.worker.wishes == [("segment", "discard")]
    ready.session.worker.last("segment").say(events.Cancelled("", kept=False))
    assert ready.session.state is State.READY
    ready.panel.render()
    begin(ready)
    result(ready, {"humerus": 1.0})
    ready.panel.render()
    ready.panel.escape()
    assert ready.session.state is State.READY


def test_teaching_begins_here(ready):
    ready.ui.teachButton.click()
    assert ready.session.state is State.COLLECTING


@pytest.mark.parametrize("dark", [False, True])
def test_pictures_of_every_state(ready, tmp_path, dark):
    for name in ("ready", "segmenting", "done"):
        if name == "segmenting":
            begin(ready)
        if name == "done":
            result(ready, {"humerus": 41.7})
        ready.panel.render()
        path = screenshot(ready.panel.widget, tmp_path / f"{name}.png", dark)
        picture = qt.QImage(str(path))
        assert picture.width() == 420
        assert picture.height() > 250
