"""The page that corrects and learns, on the stand-in."""

from types import SimpleNamespace

import pytest
import qt
import slicer
from IncrementalSegPanel.State import State
from panel.correcting_tasks import Hand, status
from panel.looks import faults
from panel.shoulders import IDS, SMALL, add_shoulder, begin, result, summary
from PySide6.QtTest import QTest
from standin.events import settle, wait
from standin.screenshot import screenshot
from standin.window import ModulePanel

from IncrementalSegLib.volumes.io import read_volume
from IncrementalSegLib.wire import events


@pytest.fixture
def page(ready):
    """Open the page from a result, and answer what it asks."""
    begin(ready)
    result(ready, {"humerus": 41.7})
    ready.panel.render()
    ready.ui.learnButton.click()
    hand = Hand(ready.session, summary())
    hand.introduce()
    ready.panel.render()
    settle()  # the editor is made then
    flow = ready.session.correcting
    return SimpleNamespace(
        **vars(ready) | {"ui": ready.panel.page.ui, "hand": hand, "flow": flow, "page": ready.panel.page}
    )


def cells(table):
    rows, columns = range(table.rowCount), range(table.columnCount)
    return [[table.item(row, column).text() for column in columns] for row in rows]


def shown(page):
    """Return how many voxels of the humerus are shown."""
    node = page.session.parameters.segmentation
    return int(slicer.util.arrayFromSegmentBinaryLabelmap(node, IDS["humerus"], page.scan).sum())


def test_spots_are_listed_and_shown_in_all_views(page):
    view = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSliceNode", "Red")
    assert page.session.state is State.CORRECTING
    assert "being looked for" in page.ui.spotsLabel.text
    assert not page.ui.nextButton.enabled
    page.hand.outlined()
    page.panel.render()
    assert cells(page.ui.spotsTable) == [
        ["1", "humerus or background", "0.4 ml"],
        ["2", "humerus or background", "0.2 ml"],
    ]
    assert page.ui.spotsTable.item(0, 0).icon().isNull() is False
    for place in ((-5, 20, 3), (11.5, -4, 1), (-5, 20, 3)):
        page.ui.nextButton.click()
        matrix = view.GetSliceToRAS()
        assert tuple(matrix.GetElement(row, 3) for row in range(3)) == place
    page.panel.render()
    assert page.ui.spotsTable.currentRow() == 0


def test_the_scan_that_is_chosen_is_corrected_without_a_result(ready):
    ready.ui.learnButton.click()
    assert ready.session.correcting.volume is ready.scan
    Hand(ready.session, summary()).introduce()
    assert ready.session.worker.last("outline").arguments["scan"].endswith("MR_12.nrrd")


def test_the_result_page_and_the_outlines_of_a_session(page, session, panel):
    before = shown(page)
    page.hand.outlined(above=700)
    assert shown(page) == before  # outlines by the version in use were shown already
    page.panel.escape()
    assert session.state is State.READY
    session.correcting.begin(page.scan, shown=True)
    page.hand.introduce(status(1, ("another", 1, 0.9)))
    page.hand.outlined(above=700, rounds=1)
    assert 0 < shown(page) < before


def test_strokes_are_painted_in_an_editor_of_their_own(page, mainWindow):
    (editor,) = page.page.widget.findChildren(slicer.qMRMLSegmentEditorWidget)
    assert editor.effects == ("Paint", "Draw", "Erase")
    assert not editor.unorderedEffectsVisible
    assert editor.segmentationNode() is page.flow.strokes
    assert editor.segmentationNode() is not page.session.parameters.segmentation
    assert editor.sourceVolumeNode() is page.scan
    segmentation = page.flow.strokes.GetSegmentation()
    names = [segmentation.GetSegment(item).GetName() for item in segmentation.GetSegmentIDs()]
    assert names == ["humerus", "scapula", "deltoid", "background"]
    editor.setActiveEffectByName("Paint")
    page.panel.exit()
    assert (editor.activeEffect(), editor.observing, editor.segmentationNode()) == (None, False, None)
    page.panel.enter()
    settle()
    assert (editor.observing, editor.segmentationNode()) == (True, page.flow.strokes)
    page.ui.doneButton.click()
    page.panel.render()
    assert (editor.observing, editor.segmentationNode()) == (False, None)


@pytest.mark.parametrize("effect", ["Draw", "Paint", "Erase"])
def test_the_options_of_an_effect_widen_no_narrow_dock(page, effect):
    (editor,) = page.page.widget.findChildren(slicer.qMRMLSegmentEditorWidget)
    dock = ModulePanel(page.panel.widget, 380, 800)
    editor.setActiveEffectByName(effect)
    dock.settle()
    assert not faults(page.panel.widget, page.page.primary)
    bar = dock.area.horizontalScrollBar().sizeHint.width()  # Slicer's module panel asks for that much more
    assert editor.minimumSizeHint.width() < dock.needs[0] <= 380 - bar
    assert editor.height < 280  # some 400 pixels as it comes
    dock.close()


def test_the_next_scan_is_painted_with_the_effect_of_the_last_one(page):
    (editor,) = page.page.widget.findChildren(slicer.qMRMLSegmentEditorWidget)
    editor.setActiveEffectByName("Draw")
    following, _outlines = add_shoulder("MR 13", 2, {"humerus": "humerus"}, SMALL)
    page.flow.enter(following)
    page.hand.introduce()
    page.panel.render()
    assert editor.segmentationNode() is None  # with a large scan that takes long: the page is seen before
    settle()
    assert editor.sourceVolumeNode() is following
    assert editor.activeEffect().name == "Draw"
    editor.setActiveEffect(None)
    page.flow.enter(page.scan)
    page.hand.introduce()
    page.panel.render()
    settle()
    assert editor.activeEffect() is None


def test_the_editor_is_made_after_the_page_is_drawn_and_begins_a_turn_later(ready):
    editors = lambda: ready.panel.page.widget.findChildren(slicer.qMRMLSegmentEditorWidget)  # noqa: E731
    ready.session.correcting.begin(ready.scan)
    Hand(ready.session, summary()).introduce()
    ready.panel.render()
    assert not editors()
    while not editors():
        settle(1)
    (editor,) = editors()
    assert editor.segmentationNode() is None
    wait(editor.segmentationNode)
    assert editor.segmentationNode() is ready.session.correcting.strokes


def test_the_key_of_a_round_counts_in_the_views_where_strokes_are_painted(page, mainWindow):
    view = qt.QLineEdit()
    layout = qt.QHBoxLayout()
    centre = qt.QWidget()
    centre.setLayout(layout)
    layout.addWidget(page.panel.widget)
    layout.addWidget(view)
    mainWindow.setCentralWidget(centre)
    mainWindow.show()
    mainWindow.activateWindow()
    view.setFocus()
    settle()
    page.hand.outlined()
    page.hand.paint()
    page.panel.render()
    QTest.keyClick(view, qt.Qt.Key_Return, qt.Qt.ControlModifier)
    assert page.flow.phase
    page.hand.settle()
    assert page.hand.last("correct").arguments["method"] == "lwfseg"
    page.hand.refined(above=700, session=status())
    page.hand.outlined(rounds=1)
    page.flow.leave()
    page.panel.render()
    QTest.keyClick(view, qt.Qt.Key_Return, qt.Qt.ControlModifier)
    assert page.session.state is State.READY
    page.panel.widget.setParent(None)


def test_a_round_is_one_key_and_replaces_the_result(page):
    page.hand.outlined()
    before = shown(page)
    page.hand.paint()
    page.panel.render()
    page.panel.pressPrimary()
    page.hand.settle()
    asked = page.hand.last("correct")
    assert asked.arguments["method"] == "lwfseg"
    page.panel.render()
    assert page.page.primary is page.ui.cancelButton
    asked.say(events.Progressed("", "training", 0.5, 8.0))
    page.panel.render()
    assert page.ui.progressLabel.text == "Learning · about 10 s left"
    page.hand.refined(above=700, session=status())
    page.panel.render()
    assert 0 < shown(page) < before
    assert page.page.primary is page.ui.refineButton
    assert page.ui.statusLabel.text == "Learned from 1 round on 1 scan with lwfseg; not kept yet."
    assert cells(page.ui.sessionTable) == [["MR 12", "1", "40", "0.80", "–"]]
    page.hand.outlined(rounds=1, centres=[(0, 0, 1)])  # the spots are those of the model that has learned
    page.panel.render()
    assert page.ui.spotsTable.rowCount == 1
    assert 0 < shown(page) < before
    page.ui.undoButton.click()
    page.hand.last("undo_correction").finish(**status(0) | {"method": None, "rounds": 0, "undoable": 0, "scans": []})
    page.hand.settle()
    assert shown(page) == before
    page.hand.outlined()
    page.panel.render()
    assert "no round" in page.ui.undoButton.toolTip


def test_methods_that_fit_can_be_chosen_until_one_has_learned(page):
    combo = page.ui.methodCombo
    texts = [combo.itemText(row) for row in range(combo.count)]
    assert texts == ["nothing: only spread strokes", "aeiseg", "finetune", "lwfseg", "reseg"]
    assert combo.currentText == "lwfseg"
    page.hand.outlined()
    page.hand.paint()
    combo.setCurrentIndex(0)
    combo.activated.emit(0)
    page.panel.pressPrimary()
    page.hand.settle()
    assert page.hand.last("correct").arguments["method"] == "propagate-only"
    page.hand.refined()
    page.panel.render()
    assert page.ui.keepButton.toolTip.count("Nothing is learned yet")
    assert page.ui.undoButton.enabled
    page.flow.session.take(status())
    page.panel.render()
    assert [combo.itemText(row) for row in range(combo.count)] == ["nothing: only spread strokes", "lwfseg"]


def test_without_a_scan_the_whole_list_is_seen(ready, mainWindow):
    for number in range(8):
        slicer.util.addVolumeFromArray(slicer.util.array(ready.scan.GetID()), name=f"MR {20 + number}")
    ready.session.correcting.begin(None)
    ready.panel.render()
    dock, table = ModulePanel(ready.panel.widget, 500, 900), ready.panel.page.ui.scansTable
    assert table.rowCount == 9
    assert table.verticalScrollBar().maximum == 0
    ready.session.correcting.enter(ready.scan)
    ready.panel.render()
    dock.settle()
    assert table.verticalScrollBar().maximum > 0  # the editor is to be seen, too
    dock.close()


def test_what_was_learned_can_be_kept_without_scrolling(page):
    page.hand.outlined()
    assert not page.ui.keepButton.isVisibleTo(page.page.widget)
    page.flow.session.take(status())
    page.panel.render()
    dock = ModulePanel(page.panel.widget, 500, 700)
    assert not faults(page.panel.widget, page.ui.keepButton)
    dock.close()


def test_keeping_leads_to_the_page_of_the_candidate(page):
    page.hand.outlined()
    page.flow.session.take(status())
    page.panel.render()
    page.ui.keepButton.click()
    asked = page.hand.last("keep_corrections")
    assert asked.arguments["accept"] == "never"
    asked.say(events.Progressed("", "checking_old", 0.5, 4.0))
    page.panel.render()
    assert not page.ui.keepButton.enabled
    page.session.refresh = lambda: True
    asked.finish(version=4)
    assert (page.session.state, page.session.comparing.number) == (State.COMPARING, 4)
    assert page.flow.session.status.rounds, "the session stays until the candidate is accepted"
    page.flow.session.take(status() | {"candidate": 4})
    assert page.flow.session.status.sentence.endswith("version 4 is a candidate.")


def test_discarding_asks_first(page):
    page.hand.outlined()
    page.flow.session.take(status())
    page.panel.render()
    dock = ModulePanel(page.panel.widget, 500, 600)
    page.ui.discardButton.click()
    page.panel.render()
    dock.settle()
    assert not faults(page.panel.widget, page.ui.discardYesButton)  # it is seen without scrolling
    dock.close()
    page.panel.escape()
    page.panel.render()
    assert not page.ui.discardFrame.isVisibleTo(page.page.widget)
    page.ui.discardButton.click()
    page.ui.discardYesButton.click()
    page.session.refresh = lambda: True
    page.hand.last("discard_corrections").finish(**status(0) | {"method": None, "rounds": 0, "scans": []})
    page.panel.render()
    assert page.ui.statusLabel.text == "Nothing is learned yet."
    assert page.session.state is State.CORRECTING


def test_looking_back_fills_the_table(page):
    page.hand.outlined()
    page.flow.session.take(status(3, ("MR_11", 2, 0.7), ("MR_12", 1, 0.9)))
    page.panel.render()
    page.ui.backButton.click()
    scans = {"MR_11": {"humerus": 0.95, "scapula": None}}
    page.hand.last("look_back").finish(scans=scans, failed={"MR_12": "The scan MR_12 is gone."}, warnings=[])
    page.panel.render()
    assert [row[3:] for row in cells(page.ui.sessionTable)] == [["0.70", "0.95"], ["0.90", "–"]]
    assert page.session.warnings == ["The scan MR_12 is gone."]


def test_the_header_leads_back_to_a_session(ready):
    corrections = {"method": "lwfseg", "rounds": 2, "scans": ["MR_11"]}
    from scripted_worker import open_model

    ready.session.model = open_model(summary(corrections=corrections))
    ready.panel.render()
    header = ready.panel._header.ui
    assert header.pendingLabel.text.startswith("Corrections of MR_11 are neither kept")
    header.pendingButton.click()
    assert (ready.session.state, ready.session.correcting.volume) == (State.CORRECTING, ready.scan)


def save(folder):
    slicer.mrmlScene.SetRootDirectory(str(folder))
    assert slicer.mrmlScene.WriteToMRB(str(folder / "scene.mrb"), None)


def load(page, folder):
    assert slicer.mrmlScene.ReadFromMRB(str(folder / "scene.mrb"), False, None)
    page.flow.beginScene()


def test_a_scene_saved_on_the_page_is_corrected_further_with_its_strokes(page, tmp_path):
    page.hand.outlined()
    page.hand.paint()
    save(tmp_path)
    page.panel.rest()
    for part in (page.session.bridge, page.session.segmenting, page.flow):
        part.endScene()
    slicer.mrmlScene.Clear(0)
    load(page, tmp_path)
    page.flow.begin(slicer.util.getNode("MR 12"))
    page.hand.introduce()
    page.hand.outlined()
    page.panel.render()
    settle()
    (editor,) = page.page.widget.findChildren(slicer.qMRMLSegmentEditorWidget)
    assert editor.segmentationNode() is page.flow.strokes is slicer.util.getNode("MR 12 strokes")
    page.ui.refineButton.click()
    page.hand.settle()
    sent = read_volume(page.hand.last("correct").arguments["strokes"])
    assert int((sent.array > 0).sum()) == 9


def test_a_scene_loaded_beside_leaves_the_strokes_that_are_edited_on_the_page(page, tmp_path):
    page.hand.outlined()
    save(tmp_path)
    load(page, tmp_path)
    strokes = slicer.util.getNodes("MR 12 strokes", useLists=True)["MR 12 strokes"]
    assert [bool(node.GetDisplayVisibility()) for node in strokes] == [node is page.flow.strokes for node in strokes]
    assert len(strokes) == len(page.flow.queue.rows) == 2


@pytest.mark.parametrize("dark", [False, True])
def test_pictures(page, tmp_path, dark):
    page.hand.outlined()
    page.flow.session.take(status())
    page.panel.render()
    assert screenshot(page.panel.widget, tmp_path / "correcting.png", dark).stat().st_size > 10_000
