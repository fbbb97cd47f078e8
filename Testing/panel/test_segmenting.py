"""From a scan in the scene to a segmentation in the scene, with a worker that says what it is told to."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from IncrementalSegPanel.documents.Heads import KnownStructure
from IncrementalSegPanel.State import State
from panel.noting_bridge import SCAN
from panel.segmenting_tasks import HUMERUS, SCAPULA, SUMMARY, answer, leftovers, ready_session, start, structure
from recordings import read
from scripted_worker import open_model

from IncrementalSegLib.errors import DataError
from IncrementalSegLib.wire import events


@pytest.fixture
def session(tmp_path):
    return ready_session(tmp_path)


def test_the_quick_path_is_one_click(session):
    assert session.state is State.READY
    assert session.segmenting.volume is SCAN
    asked = start(session)
    assert session.state is State.SEGMENTING
    assert asked.arguments["model"] == str(session.folder)
    assert Path(asked.arguments["scans"]).read_text() == "voxels"
    assert asked.arguments["structures"] == "humerus, scapula"
    answer(session, asked)
    assert session.state is State.DONE
    assert session.bridge.done == [("show", "scan.seg.nrrd", SCAN, ["humerus", "scapula"])]
    outcome = session.segmenting.outcome
    assert [(head.name, ml) for head, ml in outcome.found] == [("humerus", 41.7)]
    assert [head.name for head in outcome.missing] == ["scapula"]
    assert session.parameters.segmentation == "node"


def test_only_the_chosen_structures_are_computed(session):
    session.segmenting.leaveOut({HUMERUS})
    asked = start(session)
    assert asked.arguments["structures"] == "scapula"
    answer(session, asked)
    assert session.bridge.done[0][3] == ["scapula"]


def test_a_structure_learned_later_is_chosen(session):
    session.segmenting.leaveOut({HUMERUS})
    session.model = open_model(SUMMARY | {"structures": [*SUMMARY["structures"], structure("c" * 32, "clavicle")]})
    assert [head.name for head in session.segmenting.chosen] == ["scapula", "clavicle"]


@pytest.mark.parametrize(
    ("spoil", "word"),
    [
        (lambda session: setattr(session, "model", None), "model"),
        (lambda session: setattr(session.bridge, "shownVolume", lambda: None), "scan"),
        (lambda session: session.segmenting.leaveOut({HUMERUS, SCAPULA}), "structure"),
        (lambda session: setattr(session, "parameters", None), "scan"),
    ],
)
def test_what_is_missing_is_said_and_nothing_is_begun(session, spoil, word):
    spoil(session)
    assert word in session.segmenting.obstacle
    session.segmenting.start()
    assert session.state is State.READY
    assert session.bridge.exports == []


def test_progress_is_told_in_words(session):
    session.segmenting.start()
    assert (session.segmenting.phase, session.segmenting.fraction) == ("Preparing the scan", 0.025)
    session.defer.run(1)
    assert session.segmenting.fraction == pytest.approx(0.075)
    session.defer.run()
    assert (session.segmenting.phase, session.segmenting.fraction) == ("Starting", None)
    asked = session.worker.last("segment")
    asked.say(events.Progressed("", "loading", 0.0))
    assert (session.segmenting.progressText, session.segmenting.fraction) == ("Loading the model", None)
    asked.say(events.Progressed("", "segmenting", 0.5, 43.0))
    assert session.segmenting.progressText == "Segmenting · about 45 s left"
    assert session.segmenting.fraction == pytest.approx(0.5)
    asked.say(events.Progressed("", "segmenting", 1.0, 0.0))
    assert session.segmenting.fraction == pytest.approx(0.9)
    asked.finish(outputs=["out.seg.nrrd"])
    assert (session.segmenting.phase, session.segmenting.fraction) == ("Showing the result", pytest.approx(0.95))


def test_a_recorded_worker_is_understood(session, tmp_path):
    summary, said, missing = read("segment", tmp_path / "world")
    session.model = open_model(summary.events[-1].result)
    start(session).play(said)
    session.defer.run()
    assert session.state is State.DONE
    outcome = session.segmenting.outcome
    told = said.events[-1].result["structures"]
    assert {head.name: {"ml": ml} for head, ml in outcome.found} == told
    assert [head.name for head in session.segmenting.heads] == list(told)
    assert outcome.uncertainty.name == "out-uncertainty.nrrd"
    session.segmenting.close()
    start(session).play(missing)
    assert session.state is State.READY
    assert session.failure.what.endswith("missing.nii.gz is not there.")


def test_cancelling_while_the_scan_is_written_leaves_nothing(session):
    session.segmenting.start()
    session.defer.run(1)
    session.segmenting.cancel()
    session.defer.run()
    assert session.state is State.READY
    assert session.failure is None
    assert session.worker.wishes == []
    assert leftovers(session) == []


def test_cancelling_while_the_worker_computes_leaves_nothing(session):
    asked = start(session)
    session.segmenting.cancel()
    assert session.worker.wishes == [("segment", "discard")]
    assert session.state is State.SEGMENTING
    asked.say(events.Progressed("", "segmenting", 0.9))
    assert session.segmenting.phase == "Cancelling"
    session.segmenting.cancel()
    asked.say(events.Cancelled("", kept=False))
    assert session.state is State.READY
    assert (session.failure, session.bridge.done, leftovers(session)) == (None, [], [])


def test_a_result_that_comes_after_cancel_is_not_shown(session):
    asked = start(session)
    session.segmenting.cancel()
    answer(session, asked)
    assert session.state is State.READY
    assert session.bridge.done == []
    assert leftovers(session) == []


@pytest.mark.parametrize("when", ["export", "export ends", "worker", "show"])
def test_what_fails_is_said_with_a_way_on(session, when):
    error = DataError("The scan is gone.", "It was removed.", "Load it again.")
    if when == "export":
        session.bridge.refusal = error
    session.segmenting.start()
    if when == "export ends":
        session.bridge.exports[0].fail(error)
    session.defer.run()
    if when == "worker":
        session.worker.last("segment").fail(error.what, error.why, error.todo)
    if when == "show":
        session.bridge.refusal = error
        answer(session, session.worker.last("segment"))
    assert session.state is State.READY
    assert (session.failure.what, session.failure.todo) == ("The scan is gone.", "Load it again.")
    assert session.bridge.done == []
    assert leftovers(session) == []
    session.bridge.refusal = None
    session.failure.remedy.act()
    session.defer.run()
    answer(session, session.worker.last("segment"))
    assert session.state is State.DONE
    assert session.failure is None


def test_no_worker_can_be_started(session):
    session.worker.refusal = DataError("The worker cannot be started.")
    session.segmenting.start()
    session.defer.run()
    assert session.state is State.READY
    assert session.failure.what == "The worker cannot be started."


def test_what_a_structure_has_not_seen_is_warned_of_but_not_what_the_list_says(session):
    asked = start(session)
    asked.say(events.Warned("", "The memory ran out while segmenting."))
    answer(session, asked, warnings=["scan: scapula was not found.", "scan is unlike the scans that taught humerus."])
    assert session.warnings == ["The memory ran out while segmenting.", "scan is unlike the scans that taught humerus."]


def test_cancelling_while_the_result_is_read_leaves_nothing(session):
    asked = start(session)
    defer, session.defer.run = session.defer.run, lambda: None
    answer(session, asked)
    assert session.segmenting.phase == "Showing the result"
    session.segmenting.cancel()
    defer()
    assert (session.state, session.failure, session.bridge.done, leftovers(session)) == (State.READY, None, [], [])


def test_undo_takes_the_result_back(session):
    answer(session, start(session))
    session.segmenting.undo()
    assert session.bridge.done[-1] == ("undoSegmentation",)
    assert session.state is State.READY
    assert session.segmenting.outcome is None


def test_correct_opens_the_structure_that_was_chosen(session):
    answer(session, start(session))
    session.segmenting.correct()
    session.segmenting.correct(KnownStructure(SCAPULA, "scapula", "", "", (0, 0, 0), None, 0, ""))
    assert session.bridge.done[1:] == [
        ("openInSegmentEditor", "node", HUMERUS, SCAN),
        ("openInSegmentEditor", "node", SCAPULA, SCAN),
    ]


def test_another_scan_ends_what_is_shown(session):
    answer(session, start(session))
    session.segmenting.chooseVolume(SCAN)
    assert session.state is State.DONE
    session.segmenting.chooseVolume(SimpleNamespace(name="other"))
    assert session.state is State.READY
    assert session.segmenting.volume.name == "other"


def test_a_closed_scene_ends_what_runs_and_what_is_shown(session):
    answer(session, start(session))
    session.segmenting.endScene()
    assert session.state is State.READY
    assert session.segmenting.outcome is None
    asked = start(session)
    session.segmenting.endScene()
    session.parameters = None
    assert session.worker.wishes == [("segment", "discard")]
    asked.say(events.Cancelled("", kept=False))
    assert session.state is State.READY
    assert session.failure.what == "The scene was closed while a scan was segmented."
    assert session.failure.remedy is None
    assert leftovers(session) == []


def test_a_worker_that_dies_is_one_sentence(session):
    asked = start(session)
    asked.fail("The worker has ended unexpectedly.", "", "Start it again.")
    assert session.state is State.READY
    assert session.failure.what == "The worker has ended unexpectedly."
    assert session.failure.remedy.label == "Try again"


def test_the_device_is_asked_for_once(session):
    asked = [item for item in session.worker.asked if item.verb == "doctor"]
    session.segmenting.prepare()
    assert len(asked) == 1
    asked[0].finish(device="NVIDIA RTX 4070")
    assert session.segmenting.deviceText == "GPU ready: NVIDIA RTX 4070."


def test_without_a_gpu_the_time_of_the_last_scan_is_told(session):
    session.worker.last("doctor").finish(device="CPU, 8 threads")
    assert session.segmenting.deviceText == "No GPU is used: CPU, 8 threads."
    session.settings.setValue("IncrementalSeg/secondsOfLastScan", "61.2")  # as an INI file returns it
    assert session.segmenting.deviceText == "No GPU is used: CPU, 8 threads. The last scan took about 1 min."


def test_a_doctor_that_fails_says_nothing(session):
    session.worker.last("doctor").fail("No torch.")
    assert session.failure is None
    assert session.segmenting.deviceText == ""


def test_a_low_priority_is_said(session):
    session.segmenting.prepare()
    session.worker.last("doctor").finish(device="CPU, 8 threads", nice=19)
    assert "low priority of Slicer" in session.segmenting.deviceText
