"""The page that opens a model and the header above all pages, on the stand-in."""

from pathlib import Path

import pytest
import qt
import slicer
from IncrementalSegPanel.State import State
from panel.shoulders import summary
from scripted_worker import open_model
from standin import dialogs
from standin.events import settle


def test_the_model_page_offers_three_ways(session, panel, tmp_path):
    ui = panel.page.ui
    assert panel.page.primary is ui.sampleButton
    assert not ui.openButton.enabled
    assert not ui.newButton.enabled
    assert "Type a name" in ui.newButton.toolTip
    ui.nameEdit.setText("Knee CT")
    assert ui.newButton.enabled
    assert panel.page.primary is ui.newButton
    assert ui.newButton.default
    assert not ui.sampleButton.default
    panel.pressPrimary()
    assert session.state is State.COLLECTING
    assert session.folder == tmp_path / "models" / "Knee CT"


def test_the_sample_leads_to_its_examples(session, panel):
    panel.pressPrimary()
    session.defer.run()  # its files come one by one
    assert session.failure is None
    assert session.state is State.COLLECTING
    assert (session.folder.name, session.teaching.collecting.name) == ("Sample", "humerus")
    assert [row.ticked for row in session.teaching.collecting.rows] == [True] * 5
    assert session.bridge.shownVolume().GetName() == "Shoulder 6"
    outlines = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    assert not any(node.GetDisplayNode().GetVisibility() for node in outlines)  # they belong to the other scans


def test_a_tall_page_that_was_seen_makes_no_other_page_tall(session, panel):
    panel.render()
    before = panel.widget.minimumSizeHint.height()
    session.teaching.begin("humerus")
    session.go(State.SUMMARY)
    panel.render()
    settle()
    assert panel.widget.minimumSizeHint.height() < before


def test_a_folder_can_be_typed_or_dropped(session, panel, tmp_path):
    ui = panel.page.ui
    ui.pathEdit.setText(str(tmp_path / "typed"))
    ui.openButton.click()
    assert "typed" in session.failure.what
    mime = qt.QMimeData()
    mime.setUrls([qt.QUrl.fromLocalFile(str(tmp_path / "dropped"))])
    for kind in (qt.QDragEnterEvent, qt.QDropEvent):
        place = qt.QPoint(5, 5) if kind is qt.QDragEnterEvent else qt.QPointF(5, 5)
        event = kind(place, qt.Qt.CopyAction, mime, qt.Qt.LeftButton, qt.Qt.NoModifier)
        qt.QApplication.sendEvent(panel.page.widget, event)
        assert event.isAccepted()
    assert "dropped" in session.failure.what


def test_models_opened_before_are_listed(session, panel, tmp_path):
    (tmp_path / "Knee CT").mkdir()
    session.settings.setValue("IncrementalSeg/recentModels", str(tmp_path / "Knee CT"))
    panel.render()
    recent = panel.page.ui.recentList
    assert [recent.item(row).text() for row in range(recent.count)] == ["Knee CT"]
    recent.itemActivated.emit(recent.item(0))
    assert "Knee CT" in session.failure.what


def test_the_header_names_model_and_version(ready, session):
    header = ready.panel._header
    assert header.ui.titleLabel.text == "Shoulder MR · 3 structures · version 3"
    session.model, session.folder = None, Path("Knee CT")
    header.render()
    assert header.ui.titleLabel.text == "Knee CT · new model"


@pytest.mark.parametrize(
    ("state", "disabled"),
    [
        (State.READY, set()),
        (State.SEGMENTING, {"open", "new", "import", "export", "versions", "review"}),
        (State.COLLECTING, {"open", "new", "import", "export", "versions", "review"}),
        (State.REVIEWING, set()),
        (State.NOTHING_INSTALLED, {"new", "import", "export", "versions", "review"}),
        (State.NO_MODEL, {"review"}),
    ],
)
def test_every_disabled_entry_of_the_menu_says_why(ready, state, disabled):
    ready.session.state = state
    header = ready.panel._header
    header.render()
    actions = {action.objectName.removesuffix("Action"): action for action in header._menu.actions() if action.text}
    assert {name for name, action in actions.items() if not action.enabled} == disabled
    assert all(len(actions[name].toolTip) > 15 for name in disabled)


def test_the_menu_asks_for_files_only_where_somebody_is(ready, mainWindow, tmp_path):
    header = ready.panel._header
    dialogs.answers.append(str(tmp_path / "out.iseg"))
    header._export.trigger()
    assert ready.session.worker.last("export").arguments["package"] == str(tmp_path / "out.iseg")
    dialogs.answers.append("")
    header._import.trigger()
    assert all(item.verb != "import" for item in ready.session.worker.asked)
    dialogs.answers.append("")
    header._open.trigger()
    models = ready.session.folders.models  # Slicer's own folder may be one in which nobody can write
    assert dialogs.begun == [str(models.parent / "Shoulder MR.iseg"), str(models.parent), str(models)]


def test_without_a_window_no_dialog_opens(ready):
    ready.panel._header._open.trigger()
    ready.panel._header._export.trigger()
    assert dialogs.seen == []


def test_what_waits_in_the_model_is_offered(ready):
    header, session = ready.panel._header, ready.session
    assert not header.ui.pendingFrame.visible
    session.model = open_model(summary(candidates=[4]))
    header.render()
    assert header.ui.pendingLabel.text == "Version 4 waits for your decision."
    session.model = open_model(summary(candidates=[4], unfinished={"structures": ["clavicle"], "fraction": 0.4}))
    header.render()
    assert header.ui.pendingLabel.text == "A step that teaches clavicle is unfinished."
    header.ui.pendingButton.click()
    assert session.worker.last("resume").arguments["model"] == str(session.folder)
