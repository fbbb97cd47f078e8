"""Comparing and deciding, with a worker that says what was recorded or what it is told to."""

import pytest
from IncrementalSegPanel.documents.Lineage import Version
from IncrementalSegPanel.State import State
from recordings import end_of, read
from retention_reports import HARMED, KEPT, LINEAGE, record, report
from scripted_worker import open_model, session_in

from IncrementalSegLib.wire import events


class Bridge:
    """Knows the scans ``p00`` and ``p01``, and notes what is shown."""

    def __init__(self):
        self.shown = []

    def volumeOf(self, case):
        return case if case in ("p00", "p01") else None

    def openScan(self, path):
        return path

    def jumpTo(self, volume, ras):
        self.shown.append((volume, ras))


@pytest.fixture
def session(tmp_path):
    found = session_in(tmp_path, Bridge())
    found.model = open_model(end_of("compare", "summary").result | {"current": 1})
    found.folder = tmp_path / "model"
    found.refresh = lambda: None
    found.home()
    return found


def taught(session, document, lineage=LINEAGE):
    """Show version 3 as if it had been taught just now."""
    session.comparing.show(3, {"version": 3, "retention": document})
    session.worker.last("versions").finish(**lineage)
    return session.comparing


def drawn(session):
    """Let the pictures be done, of which there are none."""
    session.worker.last("compare_pictures").finish(pictures=[])


def test_an_edit_has_no_report_of_its_own(session):
    session.comparing.show(2)
    edit = record(2, "current", kind="edit", step={"action": "pin"})
    session.worker.last("versions").finish(current=2, versions=[edit])
    assert session.comparing.report.sentence.startswith("Nothing was taught")
    assert {item.verb for item in session.worker.asked} == {"versions"}  # no pictures, which there are none of


# -- the slices


def pictured(tmp_path, case, dice=(0.9, 0.8), position=(1.0, 2.0, 3.0), images=()):
    own = {"structure": "scapula", "case": case, "dice": list(dice), "basis": "scans", "images": list(images)}
    where = {"position": None if position is None else list(position)}
    return own | where | {"before": str(tmp_path / "b.png"), "after": str(tmp_path / "a.png")}


def test_how_well_the_new_structure_was_learned_is_said(session):
    gone = {"c" * 32: {"validation_dice": 0.5, "cases": 2}}
    one = record(3, "candidate", scores={"b" * 32: {"validation_dice": 0.927, "cases": 1}} | gone)
    blind = record(2, "current", scores={"b" * 32: {"validation_dice": None, "cases": 0}})
    flow = taught(session, report(KEPT), {"current": 2, "versions": [record(1, "accepted"), blind, one]})
    assert flow.learned == "Learned: scapula, Dice 0.93 (1 held-out scan)."
    flow.show(2)  # also after Slicer was started again
    assert flow.learned == "Learned: scapula. No held-out scan shows it, so that its Dice is not known."
    flow.show(1)
    assert flow.learned == ""
    assert Version.of(one | {"kind": "edit", "step": {"action": "pin"}}).learned == ""


def test_slices_of_the_most_harmed_structure_are_asked_for_and_turned_through(session, tmp_path):
    flow = taught(session, report(KEPT, HARMED))
    assert flow.chosen == "scapula"
    asked = session.worker.last("compare_pictures")
    assert asked.arguments["version"] == 3
    asked.finish(pictures=[pictured(tmp_path, "p04"), pictured(tmp_path, "p01")])
    assert flow.pictureTitle.startswith("p04, 1 of 2")
    flow.next()
    assert flow.picture.case == "p01"
    flow.next()
    assert flow.picture.case == "p04"
    flow.choose(1)
    assert (flow.row.structure, flow.picture, flow.pictureTitle) == ("humerus", None, "")
    assert flow.obstacleToNext


def test_jumping_to_a_slice(session, tmp_path):
    flow = taught(session, report(HARMED))
    scan = tmp_path / "p04.nii.gz"
    scan.write_bytes(b"")
    found = [
        pictured(tmp_path, "p00"),
        pictured(tmp_path, "p04", images=[str(scan)]),
        pictured(tmp_path, "p03", images=[str(tmp_path / "gone.nii.gz")]),
        pictured(tmp_path, "p01", position=None),
    ]
    session.worker.last("compare_pictures").finish(pictures=found)
    flow.jump()
    flow.next()
    flow.jump()
    assert session.bridge.shown == [("p00", (-1, -2, 3)), (scan, (-1, -2, 3))]  # the library says LPS
    flow.next()
    assert "neither in the scene" in flow.obstacleToJump
    flow.next()
    assert "was not stored" in flow.obstacleToJump


# -- deciding


def test_a_taught_version_is_shown_with_its_report_at_once(session):
    session.comparing.show(3, {"version": 3, "retention": report(KEPT)})
    assert session.state is State.COMPARING
    assert session.comparing.status == "candidate"
    assert session.comparing.report.mark == "kept"
    assert session.comparing.obstacleToDecide == ""


def test_a_version_of_the_list_is_read_first(session):
    session.comparing.versions()
    session.worker.last("versions").finish(**LINEAGE)
    assert session.comparing.number == 1  # the summary says which is in use
    assert session.comparing.listing
    session.comparing.showNth(0)
    session.worker.last("versions").finish(**LINEAGE)
    assert session.comparing.obstacleToDecide.startswith("Wait")
    asked = session.worker.last("summary")
    assert asked.arguments == {"model": str(session.folder), "version": 3}
    asked.finish(retention=report(HARMED))
    assert session.comparing.held == ("scapula",)
    assert session.worker.last("diff").arguments["first"] == 2


def test_an_answer_about_another_version_is_not_heard(session):
    session.comparing.show(3)
    late = session.worker.last("versions")
    session.comparing.show(2)
    late.finish(**LINEAGE)
    assert session.comparing.lineage == ()
    session.comparing.show(2)  # the same number of another model, perhaps
    late.finish(**LINEAGE)
    assert session.comparing.lineage == ()


def test_accepting_brings_the_version_into_use_and_offers_the_exemplars(session):
    flow = taught(session, report(KEPT))
    drawn(session)
    flow.decide()
    assert flow.doing
    assert flow.obstacleToDecide == flow.doing  # not twice
    session.worker.last("accept").play(next(item for item in read("compare") if item.verb == "accept"))
    assert flow.doing == ""
    session.worker.last("exemplars").play(next(item for item in read("exemplars") if item.verb == "exemplars"))
    assert session.state is State.REVIEWING


def test_what_the_gate_holds_back_needs_a_tick(session):
    flow = taught(session, report(HARMED))
    assert flow.obstacleToDecide == "Tick first that you accept the loss of scapula."
    flow.agree(True)
    assert flow.obstacleToDecide == ""
    flow.agree(False)
    assert flow.obstacleToDecide


def test_a_tick_does_not_hold_for_another_version(session):
    taught(session, report(HARMED)).agree(True)
    assert not taught(session, report(HARMED)).consent


def test_a_decision_does_not_wait_for_pictures(session):
    flow = taught(session, report(HARMED))
    drawing = session.worker.last("compare_pictures")
    flow.agree(True)
    flow.decide()
    assert session.worker.wishes == [("compare_pictures", "discard")]
    assert "accept" not in {
        item.verb for item in session.worker.asked
    }  # a worker that has to be killed would take it along
    drawing.say(events.Cancelled("", kept=False))
    assert session.worker.last("accept").arguments["version"] == 3


def test_what_is_being_done_is_not_lost_by_looking_elsewhere(session):
    flow = taught(session, report(KEPT))
    flow.decide()
    flow.leave()
    flow.showNth(1)
    flow.versions()
    assert (session.state, flow.number) == (State.COMPARING, 3)
    session.worker.last("compare_pictures").say(events.Cancelled("", kept=False))
    session.home()  # by opening another model, say
    session.worker.last("accept").finish()
    assert session.state is State.READY
    assert "exemplars" not in {item.verb for item in session.worker.asked}


def test_another_version_is_drawn_when_the_first_has_stopped(session):
    taught(session, report(HARMED))
    first = session.worker.last("compare_pictures")
    flow = taught(session, report(KEPT))
    assert session.worker.last("compare_pictures") is first
    first.say(events.Cancelled("", kept=False))
    second = session.worker.last("compare_pictures")
    assert second is not first
    second.finish(pictures=[])
    flow.leave()
    assert session.state is State.READY


def test_the_list_of_another_model_is_forgotten(session, tmp_path):
    flow = taught(session, report(KEPT))
    flow.show(2)
    assert flow.lineage
    session.folder = tmp_path / "other"
    flow.show(2)
    assert flow.lineage == ()


def test_keeping_both_leaves_everything_as_it_is(session):
    taught(session, report(KEPT)).leave()
    assert session.state is State.READY
    assert not {"accept", "reject"} & {item.verb for item in session.worker.asked}


def test_discarding_asks_first(session):
    flow = taught(session, report(KEPT))
    drawn(session)
    flow.ask(True)
    assert flow.asking
    flow.discard()
    session.worker.last("reject").finish()
    assert not flow.asking
    assert session.state is State.READY


def test_going_back_shows_the_version_in_use(session):
    session.comparing.show(1)
    session.worker.last("versions").finish(**LINEAGE)
    assert session.comparing.status == "accepted"
    session.comparing.decide()
    asked = session.worker.last("rollback")
    assert asked.arguments["version"] == 1
    asked.finish()
    assert session.comparing.number == 1
    assert session.state is State.COMPARING


def test_the_version_in_use_leads_home(session):
    session.comparing.show(2)
    session.worker.last("versions").finish(**LINEAGE)
    session.comparing.decide()
    assert session.state is State.READY


def test_a_failure_is_said_and_the_buttons_come_back(session):
    flow = taught(session, report(KEPT))
    drawn(session)
    flow.decide()
    session.worker.last("accept").fail("The disk is full.")
    assert session.failure.what == "The disk is full."
    assert flow.doing == ""
    assert flow.obstacleToDecide == ""


def test_only_a_step_of_now_can_be_repeated(session, monkeypatch):
    flow = taught(session, report(KEPT))
    assert "not known any more" in flow.obstacleToRepeat
    monkeypatch.setattr(type(session.teaching), "canRepeat", True)
    assert flow.obstacleToRepeat == ""
    flow.show(3)
    assert flow.obstacleToRepeat
