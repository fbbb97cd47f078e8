"""A careless or unlucky person: clicks twice and late, types whatever comes to mind, loses nodes, models and disks."""

import tempfile
from pathlib import Path

import pytest
import slicer
from IncrementalSegPanel.Names import faultOf, folderName
from IncrementalSegPanel.scene.Pseudonyms import caseOf
from IncrementalSegPanel.State import State
from panel.shoulders import IDS, begin, result, summary
from panel.teaching_tasks import ESTIMATE, HUMERUS, SUMMARY, prepared, teaching_session
from phantom_scene import add_shoulder
from scripted_worker import open_model

from IncrementalSegLib.wire import events


@pytest.fixture
def teaching(tmp_path):
    return teaching_session(tmp_path)


def asked(session, verb):
    return [item for item in session.worker.asked if item.verb == verb]


def test_continue_pressed_twice_writes_the_examples_once(teaching):
    teaching.teaching.begin("Scapula")
    teaching.teaching.toSummary()
    teaching.teaching.toSummary()
    teaching.defer.run()
    assert len(teaching.bridge.written) == 1
    assert len(asked(teaching, "check")) == 1


def test_teach_pressed_twice_teaches_once(teaching):
    prepared(teaching)
    teaching.worker.last("estimate").finish(**ESTIMATE)
    teaching.teaching.teach()
    teaching.teaching.teach()
    assert len(asked(teaching, "learn")) == 1


def test_a_late_second_back_does_nothing(teaching):
    prepared(teaching)
    teaching.teaching.toExamples()
    teaching.teaching.toExamples()
    assert teaching.state is State.COLLECTING
    teaching.teaching.leave()
    teaching.teaching.leave()
    teaching.teaching.toExamples()
    assert teaching.state is State.READY


@pytest.mark.parametrize("verb", ["accept", "discard"])
def test_a_version_is_decided_on_once(session, verb, tmp_path):
    session.model, session.folder = open_model(summary(candidates=[4])), tmp_path / "model"
    session.refresh = lambda: None
    session.home()
    session.comparing.show(4, {"retention": {}})
    for _ in range(2):
        session.comparing.decide() if verb == "accept" else session.comparing.discard()
    assert len(asked(session, "accept" if verb == "accept" else "reject")) == 1


def test_a_pin_is_saved_once(session, tmp_path):
    session.model, session.folder = open_model(summary()), tmp_path / "model"
    session.home()
    session.reviewing.show()
    item = {"id": "e1", "case": "one", "structures": ["humerus"], "kept_for": [], "reason": "", "mark": "",
            "position": None, "images": []}  # fmt: skip
    session.worker.last("exemplars").finish(exemplars=[item], bytes=1, budget=None, coverage={})
    session.reviewing.choose("e1")
    for _ in range(2):
        session.reviewing.pin()
        session.reviewing.limit(3)
    assert (len(asked(session, "pin")), len(asked(session, "budget"))) == (1, 0)


def test_what_belongs_to_a_result_goes_when_another_page_comes(ready):
    ready.session.segmenting.wantUncertainty(True)
    begin(ready)
    result(ready, {"humerus": 4.0})
    folder = ready.session.segmenting.outcome.folder
    ready.session.teaching.begin()
    assert ready.session.segmenting.outcome is None
    ready.session.defer.run()
    assert not folder.exists()


@pytest.mark.parametrize("state", [State.READY, State.SEGMENTING, State.TEACHING, State.COLLECTING, State.COMPARING])
def test_a_package_that_arrives_takes_nobody_away(ready, state, tmp_path, monkeypatch):
    session, opened = ready.session, []
    monkeypatch.setattr(session.opening, "open", opened.append)
    session.opening.importPackage(tmp_path / "given.iseg")
    session.state = state
    session.worker.last("import").finish(name="given")
    assert (opened == [session.opening.folderOf("given")]) is (state is State.READY)
    assert session.opening.message.startswith("given.iseg was imported") is (state is not State.READY)


@pytest.mark.parametrize("state", [State.DONE, State.COMPARING, State.REVIEWING, State.READY, State.NO_MODEL])
def test_an_unfinished_model_can_be_gone_on_with_from_every_page(session, state, tmp_path, monkeypatch):
    session.model, session.folder = open_model(summary()), tmp_path / "model"
    session.state = state
    session.opening._goOn(tmp_path / "other", session.teaching.resume)
    assert session.state is State.TEACHING


@pytest.mark.parametrize("name", ["x" * 300, "ü" * 200, "🦴" * 100, "a\0b", "con", "Nul.txt", "dot.", "  "])
def test_a_name_that_no_folder_can_have_is_said(session, name):
    assert session.opening.obstacleToName(name)


@pytest.mark.parametrize("name", ["Schulter MRT, Kohlköpfe", "肩", "🦴", "a" * 60, "Consul", " padded "])
def test_a_name_in_any_language_can_be_had(session, name):
    assert session.opening.obstacleToName(name) == ""


@pytest.mark.parametrize("typed", ["x" * 5000, "/" + "ü" * 200 + "/model.json", "a\0b", "/dev/null", "🦴", "~", " "])
def test_a_path_that_is_none_is_said(session, typed):
    session.opening.open(Path(typed))
    assert session.failure is not None


@pytest.mark.parametrize("value", ["x" * 5000, "a\0b", ["a", "b"], 7, "\n\n", "/dev/null"])
def test_settings_of_garbage_do_no_harm(ready, value):
    settings = ready.session.settings
    settings.setValue("IncrementalSeg/recentModels", value)
    settings.setValue("IncrementalSeg/secondsOfLastScan", value)
    ready.panel.render()
    ready.session.go(State.NO_MODEL)
    ready.panel.render()
    ready.session.folder = None
    ready.session.opening.start()
    assert ready.session.failure is None
    assert ready.session.state is State.READY


def test_a_structure_of_200_letters_can_be_taught(teaching):
    teaching.teaching.begin("ü" * 200)
    collecting = teaching.teaching.collecting
    collecting.choose(0, 0)
    assert collecting.obstacle == ""
    teaching.teaching.toSummary()
    teaching.defer.run()
    assert teaching.failure is None
    assert asked(teaching, "check")


@pytest.mark.parametrize("other", ["humerus", "HUMERUS", " Humerus ", "hu_merus"])
def test_a_known_name_in_other_writing_is_known(teaching, other):
    teaching.teaching.begin(other)
    assert bool(teaching.teaching.collecting.known) is (other != "hu_merus")


def test_a_known_name_with_an_accent_is_known_however_it_is_encoded(teaching):
    structure = HUMERUS | {"name": "Wirbelk\u00f6rper"}
    teaching.model = open_model(SUMMARY | {"structures": [structure]})
    teaching.teaching.begin("Wirbelko\u0308rper")
    assert teaching.teaching.collecting.known == "Wirbelk\u00f6rper"


def test_a_key_that_is_held_down_counts_once(panel):
    assert not any(shortcut.autoRepeat for shortcut in panel._shortcuts)


def test_a_temporary_folder_that_cannot_be_written_is_said(ready, monkeypatch):
    def refuse(**_arguments):
        raise OSError(28, "No space left on device", "/full")

    monkeypatch.setattr(tempfile, "mkdtemp", refuse)
    ready.ui.segmentButton.click()
    assert ready.session.state is State.READY
    assert ready.session.failure.what == "/full cannot be used: No space left on device."


def test_an_answer_that_does_not_fit_the_model_is_said_and_not_waited_for(ready):
    asked_ = begin(ready)
    ready.session.model = open_model(summary(structures=[]))  # it was changed meanwhile
    result(ready, {"humerus": 4.0})
    assert asked_.arguments["structures"] == "humerus, scapula, deltoid"
    assert ready.session.state is State.READY
    assert ready.session.failure is not None


def test_an_answer_that_cannot_be_understood_is_said(ready):
    ready.session.ask("summary", {}, lambda found: found["nothing"])
    ready.session.worker.last("summary").finish()
    assert "KeyError" in ready.session.failure.what


@pytest.mark.parametrize("gone", ["segmentation", "volume"])
def test_nodes_that_are_deleted_after_the_result(ready, gone):
    ready.session.segmenting.wantUncertainty(True)
    begin(ready)
    result(ready, {"humerus": 4.0})
    ready.panel.render()
    outcome = ready.session.segmenting.outcome
    slicer.mrmlScene.RemoveNode(getattr(outcome, gone))
    ready.panel.render()
    for button in ("correctButton", "exampleButton", "undoButton"):
        ready.session.state = State.DONE
        if ready.session.segmenting.outcome is None:
            ready.session.segmenting.outcome = outcome
        getattr(ready.ui, button).click()
        ready.panel.render()
        ready.session.home()
        ready.panel.render()


@pytest.mark.parametrize("when", ["worker", "show"])
@pytest.mark.parametrize("what", ["remove", "clear"])
def test_a_scan_that_vanishes(ready, when, what):
    session = ready.session

    def vanish():
        if what == "remove":
            slicer.mrmlScene.RemoveNode(ready.scan)
        else:
            session.bridge.endScene()
            session.segmenting.endScene()
            slicer.mrmlScene.Clear(0)

    job = begin(ready)
    if when == "show":
        defer, session.defer.run = session.defer.run, lambda: None
        result(ready, {"humerus": 4.0})
        vanish()
        defer()
    else:
        vanish()
        job.say(events.Cancelled("", kept=False)) if what == "clear" else job.fail("The scan is gone.")
    ready.panel.render()
    assert session.state is State.READY
    assert session.failure is not None
    session.defer.run()
    assert [path for path in session.folders.temporary.rglob("*") if path.is_file()] == []
    assert len(slicer.util.getNodesByClass("vtkMRMLSegmentationNode")) == (what == "remove")  # what a person drew


def test_a_copy_of_a_scan_is_a_case_of_its_own(session, tmp_path):
    scan, _outlines = add_shoulder("MR", 1, {"scapula": "scapula"}, (4, 16, 16))
    copy, _outlines = add_shoulder("MR copy", 2, {"scapula": "scapula"}, (4, 16, 16))
    copy.SetAttribute("IncrementalSeg.id", caseOf(scan) and scan.GetAttribute("IncrementalSeg.id"))
    export = session.bridge.exportExamples(
        session.bridge.candidates("scapula"), "scapula", tmp_path / "data", session.defer
    )
    session.defer.run()
    assert export.error is None
    assert len(list((tmp_path / "data" / "scans").iterdir())) == 2


@pytest.mark.parametrize("name", ["x" * 300, "肩" * 200, "a;b,c=d/e", "..", " "])
def test_a_scan_of_any_name_can_be_written(ready, name, tmp_path):
    ready.scan.SetName(name)
    export = ready.session.bridge.exportVolume(ready.scan, tmp_path / "out", ready.session.defer)
    ready.session.defer.run()
    assert export.error is None
    assert export.path.is_file()


def test_a_model_that_is_gone_is_said_and_its_card_stays(ready):
    assert not ready.session.refresh()
    assert "There is no model folder" in ready.session.failure.what
    assert len(ready.session.model.heads) == len(IDS)


def test_nothing_is_taught_to_a_model_that_is_gone(teaching):
    prepared(teaching)
    teaching.worker.last("estimate").finish(**ESTIMATE)
    teaching.refresh = lambda: False
    teaching.teaching.teach()
    assert teaching.state is State.SUMMARY
    assert asked(teaching, "learn") == []


@pytest.mark.parametrize("until", ["check", "estimate"])
def test_closing_the_panel_leaves_no_scans_that_taught_nothing(teaching, until):
    prepared(teaching, until)
    assert list(teaching.folders.models.rglob("manifest.csv"))
    teaching.bridge.endScene = lambda: None
    teaching.close()
    assert list(teaching.folders.models.iterdir()) == []


LATE = {
    "segment": lambda session: session.segmenting.start(),
    "close": lambda session: session.segmenting.close(),
    "undo": lambda session: session.segmenting.undo(),
    "teach": lambda session: session.teaching.begin("x"),
    "continue": lambda session: session.teaching.toSummary(),
    "back": lambda session: session.teaching.toExamples(),
    "leave": lambda session: session.teaching.leave(),
    "begin": lambda session: session.opening.begin("New"),
    "open": lambda session: session.opening.open(Path("/somewhere")),
    "versions": lambda session: session.comparing.versions(),
    "accept": lambda session: session.comparing.decide(),
    "discard": lambda session: session.comparing.discard(),
    "keep": lambda session: session.comparing.leave(),
    "review": lambda session: session.reviewing.show(),
    "done": lambda session: session.reviewing.decide(),
    "measure": lambda session: session.teaching.summary.measure(),
}


@pytest.mark.parametrize("click", LATE)
@pytest.mark.parametrize("state", [State.SEGMENTING, State.TEACHING])
def test_a_click_that_comes_when_its_page_has_gone_does_nothing(ready, state, click):
    session = ready.session
    session.state = state
    before = len(session.worker.asked), session.folder, session.model
    LATE[click](session)
    assert session.state is state
    assert (len(session.worker.asked), session.folder, session.model) == before


def test_names_of_folders():
    assert faultOf("Shoulder MR") == ""
    assert "cannot contain" in faultOf("a/b")
    assert folderName("left/right ear. ") == "left_right ear"
    assert folderName("nul") == "_nul"
    assert len(folderName("ü" * 200).encode()) <= 100


def test_a_key_is_not_heard_by_what_has_only_just_appeared(ready):
    panel = ready.panel
    panel._settle = 60.0
    panel._drawn = None
    panel.render()
    panel.pressPrimary()
    assert ready.session.state is State.READY
    panel._since -= 60.0
    panel.pressPrimary()
    assert ready.session.state is State.SEGMENTING
    panel.pressPrimary()  # the button to cancel has not even been drawn
    panel.render()
    panel.pressPrimary()
    assert ready.session.segmenting.phase != "Cancelling"
    assert ready.session.state is State.SEGMENTING
