"""The pages of teaching on the stand-in, with real MRML charts and thumbnails, and a picture of each state."""

from pathlib import Path

import pytest
import qt
import slicer
from IncrementalSegPanel.pages.ExamplesPage import ExamplesPage
from IncrementalSegPanel.pages.SummaryPage import SummaryPage
from IncrementalSegPanel.pages.TeachingPage import TeachingPage
from IncrementalSegPanel.scene.SceneBridge import SceneBridge
from IncrementalSegPanel.State import State
from panel.teaching_tasks import ADVICE, ESTIMATE, SUMMARY
from phantom_scene import add_shoulder
from recordings import read
from scripted_worker import open_model, session_in
from standin.events import settle
from standin.screenshot import screenshot

from IncrementalSegLib.engine.forms import forms
from IncrementalSegLib.terminology import terminology_of
from IncrementalSegLib.wire import events

SUMMARY = SUMMARY | {"name": "Shoulder MR"}
ADVICE = ADVICE | {"method": "lwfseg"}


@pytest.fixture
def session(tmp_path):
    found = session_in(tmp_path, SceneBridge())
    found.folder, found.model = tmp_path / "models" / "Shoulder MR", open_model(SUMMARY)
    found.refresh = lambda: True
    found.home()
    return found


@pytest.fixture
def shown(request, tmp_path):
    """Return a function that renders a page and takes its pictures; their folder can be named to look at them."""
    named = request.config.getoption("--basetemp", None)

    def show(page, name):
        page.render()
        for dark in (False, True):
            path = screenshot(page.widget, tmp_path / f"{name}{'-dark' if dark else ''}.png", dark=dark)
            assert qt.QPixmap(str(path)).width() == 420
        return page.ui

    assert named is None or named
    return show


def scene():
    add_shoulder("Anna", 1, {"Scapula": "scapula", "Upper arm": "humerus"}, (8, 64, 64))
    add_shoulder("Bert", 2, {"scapula": "scapula"}, (8, 64, 64), scanner="C")
    add_shoulder("Carl", 3, {"Segment_1": "scapula", "Segment_2": "humerus"}, (8, 64, 64))


def collected(session):
    scene()
    session.teaching.begin("Scapula")
    session.defer.run()
    return ExamplesPage(session)


def prepared(session, **summary):
    session.model = None if summary.get("none") else open_model(SUMMARY | summary)
    scene()
    session.teaching.begin("Scapula")
    session.teaching.toSummary()
    session.defer.run()
    cases = [{"case": name, "verdict": "ok", "message": "", "structures": ["Scapula"]} for name in ("a", "b")]
    session.worker.last("check").finish(cases=cases)
    session.worker.last("methods").finish(**forms())
    session.worker.last("advise").finish(**ADVICE)
    return SummaryPage(session)


def priced(session, **summary):
    page = prepared(session, **summary)
    session.worker.last("estimate").finish(**ESTIMATE)
    page.render()
    return page


def taught(session):
    priced(session)
    session.teaching.teach()
    return TeachingPage(session), session.worker.last("learn")


def rows(page):
    """Return the parts of each row of examples: box, chooser, texts."""
    lines = page.ui.rowsWidget.findChildren(qt.QFrame)
    return [line for line in lines if line.findChildren(qt.QCheckBox)]


class TestExamples:
    def test_rows_of_the_scene(self, session, shown):
        page = collected(session)
        ui = shown(page, "collecting")
        boxes = [line.findChildren(qt.QCheckBox)[0] for line in rows(page)]
        assert sorted(box.checked for box in boxes) == [False, True, True]
        assert ui.continueButton.enabled
        assert ui.countBar.format.startswith("2 chosen")
        assert "Scapula" in ui.codeLabel.text

    def test_a_click_changes_the_flow(self, session):
        page = collected(session)
        page.render()
        flow = session.teaching.collecting
        for line in rows(page):
            line.findChildren(qt.QCheckBox)[0].checked = False
        assert flow.count == 0
        page.render()
        assert not page.ui.continueButton.enabled
        assert "Tick at least one" in page.ui.continueButton.toolTip
        page.ui.allBox.click()
        assert "Say which outline of Carl" in flow.obstacle
        chooser = next(
            box for line in rows(page) for box in line.findChildren(qt.QComboBox) if box.findText("Segment_1") > 0
        )
        chooser.setCurrentIndex(chooser.findText("Segment_1"))
        assert flow.obstacle == ""
        page.render()
        page.primary.click()
        assert session.state is State.SUMMARY

    def test_a_known_name_offers_to_improve_it(self, session, shown):
        page = collected(session)
        session.teaching.collecting.setName("HUMERUS")
        ui = shown(page, "known")
        assert not ui.knownFrame.isHidden()
        assert "Improve it" in ui.continueButton.toolTip
        ui.improveButton.click()
        page.render()
        assert ui.knownFrame.isHidden()
        assert ui.titleLabel.text == "Improve Humerus"

    def test_an_empty_scene_says_what_to_do(self, session, shown):
        session.teaching.begin()
        ui = shown(ExamplesPage(session), "empty")
        assert "Segment Editor" in ui.emptyLabel.text
        assert "name of the structure" in ui.continueButton.toolTip

    def test_a_name_is_taken_from_the_terminology(self, session, shown):
        page = collected(session)
        page.ui.codesButton.click()
        entry = slicer.vtkSlicerTerminologyEntry()
        logic = slicer.modules.terminologies.logic()
        assert logic.DeserializeTerminologyEntry(terminology_of("left kidney"), entry)
        page._navigator.setTerminologyEntry(entry)
        shown(page, "terminology")
        page.ui.useCodeButton.click()
        flow = session.teaching.collecting
        assert flow.name == "Left kidney"
        assert "64033007" in flow.terminology
        page.render()
        assert page.ui.nameEdit.text == "Left kidney"
        assert page.ui.codesFrame.isHidden()

    def test_typing_keeps_the_cursor(self, session):
        page = collected(session)
        page.render()
        page.ui.nameEdit.setText("Ulxna")
        page.ui.nameEdit.setCursorPosition(3)
        page.ui.nameEdit.textEdited.emit("Ulxna")
        page.render()
        assert (session.teaching.collecting.name, page.ui.nameEdit.cursorPosition) == ("Ulxna", 3)

    def test_a_folder_is_a_source_too(self, session, shown, tmp_path):
        (tmp_path / "dataset.json").write_text("{}")
        page = collected(session)
        page.ui.sourceCombo.setCurrentIndex(1)
        shown(page, "no folder")
        page.ui.folderEdit.setCurrentPath(str(tmp_path))
        shown(page, "checking")
        cases = [
            {"case": "case 1", "verdict": "ok", "message": "", "structures": ["left shoulder blade", "rib"]},
            {"case": "case 2", "verdict": "warning", "message": "Its spacing is odd: check it.", "structures": ["rib"]},
            {"case": "case 3", "verdict": "refused", "message": "The label is empty.", "structures": ["rib"]},
        ]
        session.worker.last("check").finish(cases=cases)
        ui = shown(page, "folder")
        assert "Choose the outline of" in ui.continueButton.toolTip
        ui.outlineCombo.setCurrentIndex(2)
        page.render()
        assert [row.ticked for row in session.teaching.collecting.rows] == [True, True, False]
        ui.sourceCombo.setCurrentIndex(0)
        assert len(session.teaching.collecting.rows) == 3
        assert session.teaching.collecting.rows[0].examples

    def test_escape_closes_the_terminology_first(self, session):
        page = collected(session)
        page.ui.codesButton.click()
        page.escape()
        assert session.state is State.COLLECTING
        page.escape()
        assert session.state is State.READY


class TestSummary:
    def test_it_fills_in_as_it_comes(self, session, shown):
        page = prepared(session)
        ui = shown(page, "measuring")
        assert ui.doingBar.format == "Measuring how long it takes"
        assert ui.teachButton.enabled
        session.worker.last("estimate").finish(**ESTIMATE)
        ui.reasonsSection.collapsed = False
        shown(page, "summary")
        assert "At most about 25 min on CPU (peak 2.1 GB)." in ui.summaryLabel.text
        assert ui.doingBar.isHidden()
        page.primary.click()
        assert session.state is State.TEACHING

    def test_the_form_has_the_options_of_the_method(self, session, shown):
        page = priced(session)
        page.ui.advancedSection.collapsed = False
        shown(page, "advanced")
        names = [page.ui.methodCombo.itemText(index) for index in range(page.ui.methodCombo.count)]
        assert names[0] == "recommended: lwfseg"
        assert "aeiseg" in names
        assert "mib" not in names
        page.ui.methodCombo.setCurrentIndex(names.index("aeiseg"))
        page.render()
        assert session.teaching.summary.outdated
        edits = {edit.accessibleName: edit for edit in page.ui.optionsHolder.findChildren(qt.QLineEdit)}
        assert edits["Candidates"].placeholderText == "default: 50"
        edits["Candidates"].setText("none at all")
        edits["Candidates"].textEdited.emit("none at all")
        ui = shown(page, "fault")
        assert "whole number" in ui.teachButton.toolTip
        assert not ui.teachButton.enabled
        edits["Candidates"].textEdited.emit("7")
        choosers = {box.accessibleName: box for box in ui.optionsHolder.findChildren(qt.QComboBox)}
        choosers["Dice"].setCurrentIndex(choosers["Dice"].findText("no"))
        page.render()
        ui.measureButton.click()
        assert session.worker.last("estimate").arguments["options"] == {"candidates": 7, "dice": False}
        choosers["Dice"].setCurrentIndex(0)
        assert session.teaching.summary.stepOptions.options.values == {
            "candidates": 7
        }  # a default that is sent undoes a recipe

    def test_a_step_that_is_done_again_for_longer_shows_how_long(self, session):
        page = priced(session)
        steps = {edit.accessibleName: edit for edit in page.ui.settingsHolder.findChildren(qt.QLineEdit)}
        steps["Learning steps at most"].textEdited.emit("20")
        page.primary.click()
        session.worker.last("learn").finish(version=2, retention={}, curve={"planned": 20})
        session.teaching.again(longer=True)
        page.render()
        settle()  # the form before is gone
        steps = {edit.accessibleName: edit for edit in page.ui.settingsHolder.findChildren(qt.QLineEdit)}
        assert steps["Learning steps at most"].text == "40"

    def test_keeping_none_is_a_choice(self, session):
        page = priced(session)
        page.ui.noneButton.click()
        page.render()
        page.primary.click()
        assert session.worker.last("learn").arguments["exemplars"] == "none"

    def test_an_unfinished_step_is_said(self, session, shown):
        page = priced(session, unfinished={"structures": ["Scapula"], "fraction": 0.4})
        ui = shown(page, "unfinished")
        assert "Scapula, 40 % done" in ui.unfinishedLabel.text
        assert not ui.teachButton.enabled
        ui.giveUpBox.click()
        page.render()
        assert ui.teachButton.enabled
        ui.resumeButton.click()
        assert session.worker.asked[-1].verb == "resume"

    def test_the_first_structure_may_choose_its_network(self, session):
        page = priced(session, none=True)
        boxes = [box.accessibleName for box in page.ui.settingsHolder.findChildren(qt.QComboBox)]
        assert "Network" in boxes
        assert "first structure" in page.ui.summaryLabel.text

    def test_the_form_can_be_made_for_every_method(self, session):
        page = priced(session)
        for item in forms()["methods"]:
            session.model = open_model(SUMMARY | {"output": item["output"]})
            session.teaching.summary.setMethod(item["name"])
            page.render()
            holder = page.ui.optionsHolder
            settle()  # the form before is gone
            made = [*holder.findChildren(qt.QLineEdit), *holder.findChildren(qt.QComboBox)]
            assert len(made) == len(item["schema"]["properties"]), item["name"]
            assert all(field.toolTip for field in made)


class TestTeaching:
    def learning(self, asked, folder):
        picture = qt.QPixmap(192, 192)
        picture.fill(qt.QColor(90, 90, 90))
        picture.save(str(folder / "preview.png"))
        asked.say(events.Progressed("", "training", 0.6, 420.0, {"loss": 0.4}))
        for share, dice, change in ((0.2, 0.31, -0.2), (0.4, 0.66, -1.4), (0.6, 0.78, -0.9)):
            asked.say(events.Metric("", "dice", dice, "training", share, "Scapula"))
            asked.say(events.Metric("", "worst_change", change, "training", share, "Humerus"))
        asked.say(events.Preview("", "learning", str(folder / "preview.png"), "Scapula in Anna, slice 6"))

    def test_it_begins(self, session, shown):
        page, _ = taught(session)
        ui = shown(page, "beginning")
        assert "<b>Preparing</b>" in ui.phaseLabel.text
        assert ui.diceValue.text == "not measured yet"
        assert all(part.isHidden() for part in (ui.chart, ui.pictureLabel, ui.changeValue))

    def test_without_a_held_out_scan_nothing_will_be_measured(self, session, shown, tmp_path):
        page, asked = taught(session)
        asked.say(events.Preview("", "learning", str(tmp_path / "preview.png"), "Scapula in Anna, slice 6"))
        assert shown(page, "unmeasured").diceValue.text == "not measured: no scan is held out"

    def test_numbers_chart_and_picture(self, session, shown, tmp_path):
        page, asked = taught(session)
        self.learning(asked, tmp_path)
        ui = shown(page, "learning")
        assert ui.diceValue.text == "0.78"
        assert ui.changeValue.text == "−0.9 points (Humerus)"
        assert "left" in ui.progressBar.format
        assert not ui.chart.isHidden()
        assert not ui.pictureLabel.isHidden()

    def test_stopping_asks_in_the_page(self, session, shown):
        page, _ = taught(session)
        page.render()
        page.primary.click()
        ui = shown(page, "stopping")
        assert not ui.stopFrame.isHidden()
        assert ui.stopButton.isHidden()
        ui.discardButton.click()
        shown(page, "discarding")
        assert not ui.discardFrame.isHidden()
        assert page.primary.objectName == "notButton"  # Ctrl+Enter loses nothing
        ui.notButton.click()
        page.render()
        assert all(part.isHidden() for part in (ui.stopFrame, ui.discardFrame))
        page.escape()
        page.render()
        ui.pauseButton.click()
        shown(page, "pausing")
        assert session.worker.wishes == [("learn", "pause")]
        assert not ui.stopButton.enabled
        assert "Pausing" in ui.stopButton.toolTip

    def test_a_recorded_step_is_shown_to_its_end(self, session):
        session.comparing.show = lambda number, result=None: session.go(State.COMPARING)
        page, asked = taught(session)
        for event in next(item for item in read("learn") if item.verb == "learn").events:
            if getattr(event, "job", None):
                asked.say(event)
                if session.state is State.TEACHING:
                    page.render()
        assert session.state is State.COMPARING
        assert Path(asked.arguments["data"]).is_dir()
