"""A step that is learned, with a worker that says what it is told to."""

from dataclasses import replace
from pathlib import Path

import pytest
from IncrementalSegPanel.flows.StepOptions import settingsOf
from IncrementalSegPanel.State import State
from panel.teaching_tasks import (
    ADVICE,
    ESTIMATE,
    RESULT,
    SUMMARY,
    UNFINISHED,
    prepared,
    taught,
    teaching_session,
    verdicts,
)
from scripted_worker import open_model

from IncrementalSegLib.errors import DataError
from IncrementalSegLib.wire import events


@pytest.fixture
def session(tmp_path):
    return teaching_session(tmp_path)


def test_it_begins_when_the_worker_has_stopped_to_measure(session):
    summary = prepared(session)
    session.teaching.teach()
    assert session.worker.wishes == [("estimate", "discard")]
    assert summary.obstacle == "It begins in a moment."
    assert session.state is State.SUMMARY
    session.worker.last("estimate").say(events.Cancelled("", False))
    assert session.state is State.TEACHING


def test_what_is_asked(session):
    asked = taught(session).arguments
    assert asked["structures"][0] | {"color": 0, "terminology": 0} == {
        "name": "Scapula", "label": "Scapula", "color": 0, "terminology": 0
    }  # fmt: skip
    assert (asked["accept"], asked["restart"], asked["method"]) == ("never", False, "aeiseg")
    assert Path(asked["previews"]).parent == session.folders.temporary
    assert not {"options", "limits", "steps", "preset"} & set(asked)


def test_the_worker_learns_what_was_estimated_so_that_the_time_left_is_known_from_the_start(session):
    asked = taught(session)
    assert asked.expected == ESTIMATE["seconds"]
    asked.fail("It failed.")
    session.teaching.resume()
    assert not session.worker.last("resume").expected


def test_an_estimate_of_other_options_tells_nothing_of_the_time_left(session):
    summary = prepared(session)
    session.worker.last("estimate").finish(**ESTIMATE)
    summary.stepOptions.settings.values["steps"] = 9
    summary.changed()
    session.teaching.teach()
    assert session.worker.last("learn").expected is None


def test_what_comes_before_learning_is_preparation(session):
    asked, flow = taught(session), session.teaching.learning
    shown = []
    for phase in ("starting", "reading", "loading", "preparing", "training", "remembering", "checking_old", "saving"):
        asked.say(events.Progressed("", phase, 0.5))
        shown.append(flow.phase)
    assert shown == [*["preparing"] * 4, "training", "remembering", "checking_old", "saving"]


def test_numbers_phases_and_picture_arrive(session):
    asked, flow = taught(session), session.teaching.learning
    asked.say(events.Progressed("", "reading", 0.01, 1090.0))
    assert (flow.phase, flow.fraction, flow.left) == ("preparing", 0.01, 1090.0)
    asked.say(events.Progressed("", "training", 0.25, 700.0, {"loss": 1.0}))
    asked.say(events.Metric("", "dice", 0.81, "training", 0.25, "Scapula"))
    asked.say(events.Metric("", "dice", 0.81, "training", 0.25))
    asked.say(events.Metric("", "worst_change", -0.4, "training", 0.25, "Humerus"))
    asked.say(events.Preview("", "learning", "x.png", "Scapula in one"))
    assert (flow.phase, flow.fraction, flow.left) == ("training", 0.25, 700.0)
    assert flow.dice == {"Scapula": [(0.25, 0.81)]}
    assert flow.memory == "about 2.1 GB on CPU"
    assert flow.changes == [(0.25, -0.4, "Humerus")]
    assert flow.preview == (Path("x.png"), "Scapula in one")


def test_its_end_is_compared_and_the_scans_stay(session):
    asked = taught(session)
    asked.finish(**RESULT)
    assert (session.state, session.shown) == (State.COMPARING, [2])
    session.teaching.summary.leave()
    assert Path(asked.arguments["data"]).is_dir()


def test_stopping_asks_how(session):
    taught(session)
    flow = session.teaching.learning
    flow.askStop()
    flow.stop("keep")
    assert session.worker.wishes == [("learn", "keep")]
    assert (flow.asking, flow.wish, session.state) == (False, "keep", State.TEACHING)


def test_a_pause_keeps_the_step(session):
    asked = taught(session)
    session.teaching.learning.stop("pause")
    session.model = open_model(SUMMARY | {"unfinished": UNFINISHED})
    asked.say(events.Cancelled("", True))
    assert session.state is State.READY
    assert "paused" in session.warnings[0]
    session.teaching.resume()
    assert session.state is State.TEACHING
    assert session.teaching.learning.title == "Scapula"
    session.worker.last("resume").finish(**RESULT)
    assert session.shown == [2]


@pytest.mark.parametrize("wish", ["pause", "keep"])
def test_without_a_checkpoint_there_is_nothing_to_keep(session, wish):
    asked = taught(session)
    session.teaching.learning.stop(wish)
    asked.say(events.Cancelled("", True))
    assert session.state is State.SUMMARY
    assert "nothing to keep" in session.warnings[0]


def test_a_discard_leads_back_to_the_summary(session):
    asked = taught(session)
    session.teaching.learning.stop("discard")
    asked.say(events.Cancelled("", False))
    assert (session.state, session.warnings) == (State.SUMMARY, [])
    assert session.worker.asked[-1] is asked


def test_what_a_worker_leaves_that_was_ended_by_force_is_removed(session):
    asked = taught(session)
    session.teaching.learning.stop("discard")
    session.model = open_model(SUMMARY | {"unfinished": UNFINISHED})
    asked.say(events.Cancelled("", False))
    assert session.worker.last("give_up").arguments == {"model": str(session.folder)}
    session.teaching.teach()
    assert session.worker.last("learn").arguments["restart"] is True
    assert session.state is State.TEACHING


def test_a_worker_that_died_can_go_on_from_its_checkpoint(session):
    asked = taught(session)
    session.model = open_model(SUMMARY | {"unfinished": UNFINISHED})
    asked.fail("The worker has ended unexpectedly.")
    assert session.state is State.SUMMARY
    assert session.failure.remedy.label == "Resume from the last checkpoint"
    session.failure.remedy.act()
    assert (session.state, session.worker.asked[-1].verb) == (State.TEACHING, "resume")


def test_without_a_checkpoint_nothing_is_offered(session):
    taught(session).fail("The worker has ended unexpectedly.")
    assert session.failure.remedy is None


@pytest.mark.parametrize(("summary", "sent"), [(SUMMARY, {"device": "cpu"}), (None, {"preset": "quick"})])
def test_a_lack_of_memory_can_be_mended(session, summary, sent):
    session.model = None if summary is None else open_model(summary)
    taught(session).fail("The memory of the GPU ran out.", kind="NoMemoryError")
    session.failure.remedy.act()
    asked = session.worker.last("learn").arguments
    assert sent.items() <= asked.items()
    assert asked["restart"] is True


def test_a_resumed_step_without_examples_ends_at_home(session):
    session.model = open_model(SUMMARY | {"unfinished": UNFINISHED})
    session.teaching.resume()
    session.worker.last("resume").fail("A scan is gone.")
    assert session.state is State.READY
    assert session.failure.what == "A scan is gone."


def test_it_can_be_done_again_for_longer(session):
    assert not session.teaching.canRepeat
    taught(session).finish(**RESULT)
    assert session.teaching.canRepeat
    session.teaching.again(longer=True)
    assert session.state is State.SUMMARY
    session.worker.last("check").finish(**verdicts())
    session.worker.last("advise").finish(**ADVICE)
    assert session.worker.last("estimate").arguments["steps"] == 600


def test_a_worker_that_cannot_be_started_is_said(session):
    summary = prepared(session)
    session.worker.last("estimate").finish(**ESTIMATE)
    session.worker.refusal = DataError("No worker can be started.")
    session.teaching.teach()
    assert session.failure.what == "No worker can be started."
    assert session.state is State.SUMMARY
    assert not summary.starting


def test_all_that_is_asked_is_what_the_worker_takes(session):
    from IncrementalSegLib.worker.verbs import bind

    summary = prepared(session)
    summary.task = replace(summary.task, name="Humerus", improve=True, cases=("one",))
    for field in settingsOf(summary.settings, first=True):
        summary.stepOptions.settings.values[field.name] = field.choices[0] if field.choices else 1
    summary.stepOptions.options.values["keep"] = 2
    summary.measure()
    session.worker.last("estimate").say(events.Cancelled("", False))
    session.worker.last("estimate").finish(**ESTIMATE)
    session.teaching.teach()
    session.worker.last("learn").finish(**RESULT)
    session.home()
    session.teaching.resume()
    assert [item.verb for item in session.worker.asked] == [
        "check", "methods", "advise", "estimate", "estimate", "learn", "resume"
    ]  # fmt: skip
    for item in session.worker.asked:
        bind(item.verb, item.arguments)
    assert session.worker.last("learn").arguments["improve"] is True
    assert session.worker.last("learn").arguments["structures"] == [{"name": "Humerus", "label": "Scapula"}]
