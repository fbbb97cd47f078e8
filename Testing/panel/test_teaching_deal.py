"""The deal before the start, with a worker that says what it is told to."""

import pytest
from IncrementalSegPanel.State import State
from panel.lessons import ADVICE, CARD, ESTIMATE, METHODS, UNFINISHED, collected, dealt, teaching_session, verdicts
from scripted_worker import open_model

from IncrementalSegLib.errors import DataError
from IncrementalSegLib.jobs import events


@pytest.fixture
def session(tmp_path):
    return teaching_session(tmp_path)


def test_it_is_struck_step_by_step(session):
    deal = dealt(session, "check")
    assert session.state is State.DEAL
    assert session.bridge.written == [("Scapula", [("one", "scapula"), ("two", "Scapula")])]
    assert deal.lesson.data.parent == session.places.models / "Shoulder scans"
    assert "checked" in deal.obstacle
    session.worker.last("check").finish(**verdicts())
    session.worker.last("methods").finish(**METHODS)
    assert [item["name"] for item in deal.choices] == ["aeiseg"]
    session.worker.last("advise").finish(**ADVICE)
    assert deal.reasons == ["Because.", "But."]
    asked = session.worker.last("estimate").arguments
    assert (asked["method"], asked["exemplars"], "options" in asked) == ("aeiseg", "keep", False)
    assert deal.obstacle == ""
    session.worker.last("estimate").finish(**ESTIMATE)
    assert deal.doing == ""
    assert deal.sentences == [
        "At most about 25 min on CPU (peak 2.1 GB).", "Keeps 1 structure.", "Nothing leaves this computer."
    ]  # fmt: skip
    assert deal.scans == deal.lesson.data


def test_the_scans_wait_until_they_are_written(session):
    collected(session)
    session.teaching.toDeal()
    deal = session.teaching.deal
    assert deal.doing == "Writing the examples"
    assert "written" in deal.obstacle
    assert session.worker.asked == []


def test_examples_that_cannot_be_written_are_said_at_once(session):
    session.bridge.refusal = DataError("The scan is gone.")
    collected(session)
    session.teaching.toDeal()
    session.later.run()
    assert (session.state, session.failure.what) == (State.COLLECTING, "The scan is gone.")


def test_examples_that_are_all_refused_are_said_before_anything_starts(session):
    dealt(session, "check")
    session.worker.last("check").finish(**verdicts("one", "two"))
    assert (session.state, session.failure.what) == (State.COLLECTING, "None of the 2 scans can teach.")
    assert session.failure.why == "one: It is empty."


def test_one_that_is_refused_is_left_out_and_named(session):
    deal = dealt(session, "check")
    session.worker.last("check").finish(**verdicts("one"))
    assert deal.lesson.cases == ("two",)
    assert session.warnings == ["Left out: one: It is empty."]


def test_what_the_worker_refuses_leads_back_to_the_examples(session):
    dealt(session)
    session.worker.last("estimate").fail("The model cannot take it.")
    assert (session.state, session.failure.mend.label) == (State.DEAL, "Choose other examples")
    session.failure.mend.act()
    assert session.state is State.COLLECTING


def test_scans_of_another_world_want_a_method_by_hand(session):
    deal = dealt(session, "advise")
    session.worker.last("advise").finish(**(ADVICE | {"method": None}))
    assert "model of their own is advised" in deal.obstacle
    deal.setMethod("aeiseg")
    assert deal.obstacle == ""


def test_a_change_makes_the_estimate_old_until_it_is_measured_again(session):
    deal = dealt(session)
    session.worker.last("estimate").finish(**ESTIMATE)
    deal.terms.settings.values["steps"] = 7
    deal.changed()
    assert deal.outdated
    assert deal.sentences[0] == "Before the change: about 25 min on CPU."
    deal.measure()
    asked = session.worker.last("estimate")
    assert asked.arguments["steps"] == 7
    asked.finish(**ESTIMATE)
    assert not deal.outdated


def test_a_bad_value_says_so_at_the_button(session):
    deal = dealt(session)
    deal.terms.settings.faults["steps"] = "“x” is not a whole number."
    assert "whole number" in deal.obstacle


def test_going_back_removes_what_was_written_of_the_scans(session):
    folder = dealt(session).lesson.data
    assert folder.is_dir()
    session.teaching.toExamples()
    assert not folder.exists()
    assert session.worker.wishes == [("estimate", "discard")]
    assert session.state is State.COLLECTING


def test_what_a_given_up_question_answers_is_not_heard(session):
    dealt(session)
    session.teaching.toExamples()
    session.worker.last("estimate").finish(**ESTIMATE)
    assert session.teaching.deal.estimate is None


def test_a_new_deal_waits_until_the_worker_has_given_up_the_last_one(session):
    dealt(session)
    session.teaching.toExamples()
    session.teaching.toDeal()
    session.later.run()
    assert sum(item.verb == "check" for item in session.worker.asked) == 1
    session.worker.last("estimate").say(events.Cancelled("", False))
    assert sum(item.verb == "check" for item in session.worker.asked) == 2


def test_an_unfinished_step_is_not_lost_unasked(session):
    session.model = open_model(CARD | {"unfinished": UNFINISHED})
    deal = dealt(session)
    assert "unfinished" in deal.obstacle
    deal.allowGivingUp(True)
    session.teaching.teach()
    session.worker.last("estimate").say(events.Cancelled("", False))
    assert session.worker.last("learn").arguments["restart"] is True
