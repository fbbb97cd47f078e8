"""Rounds of corrections without widgets: what fails, what is given up, what is left behind."""

import pytest
import slicer
from IncrementalSegPanel.State import State
from panel.correcting_tasks import NO_SESSION, Hand, status
from panel.shoulders import IDS, SMALL, summary
from phantom_scene import add_shoulder
from scripted_worker import open_model

from IncrementalSegLib.wire import events


@pytest.fixture
def hand(session, tmp_path):
    """Open the page on a scan of which nothing is shown yet."""
    scan, _outlines = add_shoulder("MR 12", 1, {"humerus": "humerus"}, SMALL)
    session.model, session.folder = open_model(summary()), tmp_path / "models" / "Shoulder MR"
    session.refresh = lambda: True
    session.home()
    session.correcting.begin(scan)
    found = Hand(session, summary())
    found.introduce()
    return found


def humerus(session):
    node = session.parameters.segmentation
    return int(slicer.util.arrayFromSegmentBinaryLabelmap(node, IDS["humerus"], session.correcting.volume).sum())


def leftovers(session):
    """Return the files that the page has left, but the scans: the session looks back at them."""
    session.defer.run()  # files are removed one by one
    return [path for path in session.folders.temporary.rglob("*") if path.is_file() and path.parent.name != "scan"]


def test_a_scan_of_which_nothing_is_shown_is_outlined(session, hand):
    hand.outlined()
    assert humerus(session) > 0
    assert session.correcting.history.rounds == 0
    assert len(session.correcting.spots.items) == 2


def test_nothing_painted_is_a_sentence_and_the_worker_is_not_asked(session, hand):
    hand.outlined()
    session.correcting.refine()
    hand.settle()
    assert session.failure.what == "No stroke is painted yet."
    assert not any(asked.verb == "correct" for asked in session.worker.asked)
    assert session.correcting.waiting == ""
    hand.paint()
    session.failure.remedy.act()
    hand.settle()
    assert hand.last("correct")


def test_a_round_need_not_wait_for_the_spots(session, hand):
    hand.paint()
    session.correcting.refine()
    assert session.worker.wishes == [("outline", "discard")]
    hand.giveUp()
    hand.refined(session=status())
    hand.outlined(rounds=1)
    rounds = session.correcting.history.rounds
    assert rounds == 1
    session.correcting.undo()
    hand.last("undo_correction").finish(**NO_SESSION)
    hand.outlined(above=650)  # the outlines before the round are not known, and made anew
    hand.settle()
    assert session.correcting.history.rounds == 0
    assert humerus(session) == (slicer.util.arrayFromVolume(session.correcting.volume) > 650).sum()


def test_a_cancelled_round_changes_nothing(session, hand):
    hand.outlined()
    before = humerus(session)
    hand.paint()
    session.correcting.refine()
    hand.settle()
    session.correcting.escape()
    assert session.correcting.waiting == "Cancelling"
    hand.last("correct").say(events.Cancelled("", kept=False))
    assert (session.state, session.correcting.waiting, session.failure) == (State.CORRECTING, "", None)
    assert (humerus(session), session.correcting.history.rounds) == (before, 0)
    session.correcting.escape()
    assert session.state is State.READY


def test_a_worker_that_is_lost_loses_the_round_alone(session, hand):
    hand.outlined()
    hand.paint()
    for above, done in ((650, status(1)), (700, status(2))):
        session.correcting.refine()
        hand.settle()
        hand.refined(above, done)
        hand.outlined(rounds=done["rounds"])
    before = humerus(session)
    session.correcting.refine()
    hand.settle()
    hand.last("correct").fail("The worker has ended.", kind="WireError")
    hand.last("corrections").finish(**status(2))
    assert session.failure.remedy.label == "Try again"
    assert (humerus(session), session.correcting.history.rounds) == (before, 2)
    session.failure.remedy.act()
    hand.settle()
    hand.refined(750, status(3))
    assert humerus(session) < before
    assert session.correcting.session.status.rounds == 3


def test_rounds_are_undone_one_after_the_other_and_strokes_stay(session, hand):
    hand.outlined()
    shown = [humerus(session)]
    hand.paint()
    for above, done in ((650, status(1)), (700, None), (750, status(2))):
        session.correcting.refine()
        hand.giveUp()
        hand.refined(above, done)
        shown.append(humerus(session))
    assert sorted(set(shown), reverse=True) == shown
    for learned, before in zip((True, False, True), reversed(shown[:-1]), strict=True):
        asked = len([item for item in session.worker.asked if item.verb == "undo_correction"])
        session.correcting.undo()
        hand.giveUp()
        if learned:
            hand.last("undo_correction").finish(**status(1))
        hand.settle()
        assert len([item for item in session.worker.asked if item.verb == "undo_correction"]) == asked + learned
        assert humerus(session) == before
    painted = slicer.util.arrayFromSegmentBinaryLabelmap(session.correcting.strokes, IDS["humerus"])
    assert painted.sum() == 9


def test_a_round_on_another_scan_is_not_undone_unseen(session, hand):
    hand.outlined()
    flow, (scan,) = session.correcting, status(1)["scans"]
    flow.session.take(status(1))
    assert flow.obstacleToUndo == ""
    flow.session.names[scan["scan"]] = "CT of yesterday"
    assert flow.obstacleToUndo == "The last round was on CT of yesterday; correct that scan to undo it."
    flow.undo()
    assert "undo_correction" not in [item.verb for item in session.worker.asked]
    flow.session.names = {"another": flow.title}  # the other was not opened since the panel was
    assert flow.obstacleToUndo == "The last round was on MR_12; correct that scan to undo it."
    flow.session.names = {}  # the scan that is shown cannot be read
    assert flow.obstacleToUndo == ""


def test_leaving_removes_the_files_but_not_the_scan(session, hand):
    hand.outlined()
    hand.paint()
    session.correcting.refine()
    hand.settle()
    hand.refined(session=status())
    scan, strokes = session.correcting.volume, session.correcting.strokes
    session.correcting.done()
    hand.giveUp()
    assert session.state is State.READY
    assert not strokes.GetDisplayVisibility()
    assert leftovers(session) == []
    assert len(list(session.folders.temporary.rglob("MR_12.nrrd"))) == 1
    session.correcting.begin(scan)
    session.defer.run()
    assert session.correcting.strokes is strokes
    assert strokes.GetDisplayVisibility()


def test_a_scan_that_vanishes_is_one_sentence(session, hand):
    hand.outlined()
    hand.paint()
    slicer.mrmlScene.RemoveNode(session.correcting.volume)
    session.correcting.refine()
    hand.settle()
    assert "not in the scene any more" in session.failure.what
    session.correcting.leave()
    assert session.state is State.READY


def test_a_scene_that_closes_ends_a_round(session, hand):
    hand.outlined()
    hand.paint()
    session.correcting.refine()
    hand.settle()
    session.bridge.endScene()
    session.correcting.endScene()
    assert session.state is State.READY
    assert session.failure.what == "The scene was closed during a round of corrections."
    assert session.worker.wishes == [("correct", "discard")]


def test_the_method_of_an_open_session_is_kept_to(session, hand):
    flow = session.correcting
    assert flow.session.method == "lwfseg"
    flow.session.take(status() | {"method": "reseg"})
    assert (flow.session.method, flow.session.choices) == ("reseg", ("propagate-only", "reseg"))


def test_the_method_that_taught_the_model_is_suggested_where_it_holds_what_was_known(session, hand):
    known = summary()
    for item in known["structures"]:
        item["method"] = "reseg"
    for method, suggested in (("reseg", "reseg"), ("finetune", "lwfseg"), ("aeiseg", "lwfseg")):
        known["structures"][-1]["method"] = method
        session.model = open_model(known)
        session.correcting.session.forget()
        session.correcting.session.ask()
        hand.introduce()
        assert session.correcting.session.method == suggested
