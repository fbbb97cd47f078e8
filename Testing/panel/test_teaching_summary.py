"""The summary before a step begins, with a worker that says what it is told to."""

from dataclasses import replace

import pytest
from IncrementalSegPanel.State import State
from panel.teaching_tasks import (
    ADVICE,
    ESTIMATE,
    METHODS,
    SUMMARY,
    UNFINISHED,
    collected,
    prepared,
    teaching_session,
    verdicts,
)
from scripted_worker import open_model

from IncrementalSegLib.errors import DataError
from IncrementalSegLib.wire import events


@pytest.fixture
def session(tmp_path):
    return teaching_session(tmp_path)


def test_it_is_struck_step_by_step(session):
    summary = prepared(session, "check")
    assert session.state is State.SUMMARY
    assert session.bridge.written == [("Scapula", [("one", "scapula"), ("two", "Scapula")])]
    assert summary.task.data.parent == session.folders.models / "Shoulder scans"
    assert "checked" in summary.obstacle
    session.worker.last("check").finish(**verdicts())
    session.worker.last("methods").finish(**METHODS)
    assert [item["name"] for item in summary.choices] == ["aeiseg"]
    session.worker.last("advise").finish(**ADVICE)
    assert summary.reasons == ["Because.", "But."]
    asked = session.worker.last("estimate").arguments
    assert (asked["method"], asked["exemplars"], "options" in asked) == ("aeiseg", "keep", False)
    assert summary.obstacle == ""
    session.worker.last("estimate").finish(**ESTIMATE)
    assert summary.doing == ""
    assert summary.sentences == [
        "At most about 25 min on CPU (peak 2.1 GB).", "Keeps 1 structure.", "Nothing leaves this computer."
    ]  # fmt: skip
    assert summary.scans == summary.task.data


@pytest.mark.parametrize(
    ("retains", "guarantees", "sentence"),
    [
        (True, False, "Keeps 1 structure."),
        (True, True, "The older structure stays exactly as it is."),
        (False, False, "Does not protect the older structures: aeiseg is for comparison only."),
    ],
)
def test_what_becomes_of_older_structures_depends_on_the_method(session, retains, guarantees, sentence):
    summary = prepared(session, "check")
    session.worker.last("check").finish(**verdicts())
    aeiseg, mib = METHODS["methods"]
    listed = [aeiseg | {"retains": retains, "guarantees": guarantees}, mib]
    session.worker.last("methods").finish(**METHODS | {"methods": listed})
    session.worker.last("advise").finish(**ADVICE)
    assert sentence in summary.sentences


def test_nothing_is_said_of_older_structures_where_the_only_one_is_improved(session):
    summary = prepared(session)
    summary.task = replace(summary.task, name="Humerus", improve=True)
    assert [item for item in summary.sentences if "structure" in item] == []


def test_the_scans_wait_until_they_are_written(session):
    collected(session)
    session.teaching.toSummary()
    summary = session.teaching.summary
    assert summary.doing == "Writing the examples"
    assert "written" in summary.obstacle
    assert session.worker.asked == []


def test_examples_that_cannot_be_written_are_said_at_once(session):
    session.bridge.refusal = DataError("The scan is gone.")
    collected(session)
    session.teaching.toSummary()
    session.defer.run()
    assert (session.state, session.failure.what) == (State.COLLECTING, "The scan is gone.")


def test_examples_that_are_all_refused_are_said_before_anything_starts(session):
    prepared(session, "check")
    session.worker.last("check").finish(**verdicts("one", "two"))
    assert (session.state, session.failure.what) == (State.COLLECTING, "None of the 2 scans can be used for teaching.")
    assert session.failure.why == "one: It is empty."


def test_one_that_is_refused_is_left_out_and_named(session):
    summary = prepared(session, "check")
    session.worker.last("check").finish(**verdicts("one"))
    assert summary.task.cases == ("two",)
    assert session.warnings == ["Left out: one: It is empty."]


def test_what_the_worker_refuses_leads_back_to_the_examples(session):
    prepared(session)
    session.worker.last("estimate").fail("The model cannot take it.")
    assert (session.state, session.failure.remedy.label) == (State.SUMMARY, "Choose other examples")
    session.failure.remedy.act()
    assert session.state is State.COLLECTING


def test_scans_of_another_world_want_a_method_by_hand(session):
    summary = prepared(session, "advise")
    session.worker.last("advise").finish(**(ADVICE | {"method": None}))
    assert "model of their own is advised" in summary.obstacle
    summary.setMethod("aeiseg")
    assert summary.obstacle == ""


def test_a_change_makes_the_estimate_old_until_it_is_measured_again(session):
    summary = prepared(session)
    session.worker.last("estimate").finish(**ESTIMATE)
    summary.stepOptions.settings.values["steps"] = 7
    summary.changed()
    assert summary.outdated
    assert summary.sentences[0] == "Before the change: about 25 min on CPU."
    summary.measure()
    asked = session.worker.last("estimate")
    assert asked.arguments["steps"] == 7
    asked.finish(**ESTIMATE)
    assert not summary.outdated


def test_a_bad_value_says_so_at_the_button(session):
    summary = prepared(session)
    summary.stepOptions.settings.faults["steps"] = "“x” is not a whole number."
    assert "whole number" in summary.obstacle


def test_going_back_removes_what_was_written_of_the_scans(session):
    folder = prepared(session).task.data
    assert folder.is_dir()
    session.teaching.toExamples()
    assert not folder.exists()
    assert session.worker.wishes == [("estimate", "discard")]
    assert session.state is State.COLLECTING


def test_what_a_given_up_question_answers_is_not_heard(session):
    prepared(session)
    session.teaching.toExamples()
    session.worker.last("estimate").finish(**ESTIMATE)
    assert session.teaching.summary.estimate is None


def test_a_new_deal_waits_until_the_worker_has_given_up_the_last_one(session):
    prepared(session)
    session.teaching.toExamples()
    session.teaching.toSummary()
    session.defer.run()
    assert sum(item.verb == "check" for item in session.worker.asked) == 1
    session.worker.last("estimate").say(events.Cancelled("", False))
    assert sum(item.verb == "check" for item in session.worker.asked) == 2


def test_an_unfinished_step_is_not_lost_unasked(session):
    session.model = open_model(SUMMARY | {"unfinished": UNFINISHED})
    summary = prepared(session)
    assert "unfinished" in summary.obstacle
    summary.allowGivingUp(True)
    session.teaching.teach()
    session.worker.last("estimate").say(events.Cancelled("", False))
    assert session.worker.last("learn").arguments["restart"] is True
