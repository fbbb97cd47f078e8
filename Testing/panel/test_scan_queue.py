"""Several scans, one after the other, the most worthwhile first."""

import numpy as np
import pytest
import slicer
from IncrementalSegPanel.State import State
from panel.correcting_tasks import Hand
from panel.shoulders import SMALL, summary
from phantom_scene import add_shoulder
from scripted_worker import open_model

from IncrementalSegLib.volumes.io import write_volume
from IncrementalSegLib.volumes.volume import Grid, Volume
from IncrementalSegLib.wire import events

REASON = "mean uncertainty of the structures and their boundary: 0.30"


@pytest.fixture
def scans():
    return [add_shoulder(name, seed, {"humerus": "humerus"}, SMALL)[0] for seed, name in enumerate("ABC", 1)]


@pytest.fixture
def hand(session, scans, tmp_path):
    session.model, session.folder = open_model(summary()), tmp_path / "models" / "Shoulder MR"
    session.refresh = lambda: True
    session.home()
    session.correcting.begin(None)
    found = Hand(session, summary())
    found.introduce()
    return found


@pytest.fixture
def queue(session, hand):
    return session.correcting.queue


def rows(queue):
    return [(row.name, row.worth) for row in queue.rows]


def judge(hand, priority):
    hand.settle()
    hand.last("suggest").finish(scans=[{"priority": priority, "reason": REASON}], warnings=[], failed={})


def test_without_a_scan_in_hand_one_is_chosen_from_the_list(session, panel, hand, scans):
    panel.render()
    ui = panel.page.ui
    assert ui.scansLabel.text == "Choose the scan to be corrected."
    assert not ui.refineButton.enabled
    assert "choose it first" in ui.refineButton.toolTip
    ui.scansTable.selectRow(1)
    hand.settle()
    assert session.correcting.volume is scans[1]
    assert hand.last("outline").arguments["scan"].endswith("B.nrrd")
    panel.render()
    assert ui.titleLabel.text == "Correct B"


def test_the_most_worthwhile_come_first_and_those_of_another_kind_last(session, queue, hand):
    queue.rank()
    for priority in (0.3, -0.4, 0.6):
        assert session.correcting.waiting
        judge(hand, priority)
    assert session.correcting.waiting == ""
    assert rows(queue) == [("C", "0.60"), ("A", "0.30"), ("B", "unlike")]
    assert queue.rows[0].reason == REASON
    session.defer.run()
    assert not list(session.folders.temporary.glob("suggest-*"))


def test_a_scan_that_cannot_be_judged_is_no_hindrance_but_a_lost_worker_is(session, queue, hand):
    queue.rank()
    hand.settle()
    hand.last("suggest").fail("The scan has two channels.", "The model takes one.", kind="DataError")
    judge(hand, 0.5)
    judge(hand, 0.2)
    assert rows(queue) == [("B", "0.50"), ("C", "0.20"), ("A", "unknown")]
    assert queue.rows[2].reason == "The scan has two channels. The model takes one."
    queue.rank()
    hand.settle()
    hand.last("suggest").fail("The worker has ended.", kind="WireError")
    assert session.failure.what == "The worker has ended."
    assert queue.phase == ""


def test_judging_can_be_cancelled(session, queue, hand):
    queue.rank()
    judge(hand, 0.5)
    hand.settle()
    session.correcting.escape()
    assert session.worker.wishes[-1] == ("suggest", "discard")
    hand.last("suggest").say(events.Cancelled("", kept=False))
    assert (queue.phase, session.state) == ("", State.CORRECTING)
    assert rows(queue) == [("A", "0.50"), ("B", "–"), ("C", "–")]


def test_done_leads_from_scan_to_scan(session, panel, queue, hand, scans):
    for scan in scans:
        if session.correcting.volume is None:
            session.correcting.enter(scan)
        assert session.correcting.volume is scan
        hand.settle()
        hand.outlined()
        panel.render()
        assert panel.page.ui.doneButton.text == ("Done" if scan is scans[-1] else "Done, next scan")
        panel.page.ui.doneButton.click()
    assert session.state is State.READY
    assert [row.done for row in queue.rows] == [True] * 3
    session.correcting.begin(None)
    assert rows(queue) == [(name, "accepted") for name in "ABC"]


def test_the_list_follows_the_scene_and_leaves_maps_out(session, queue, hand, scans, tmp_path):
    slicer.mrmlScene.RemoveNode(scans[0])
    grid = Grid(SMALL)
    write_volume(tmp_path / "map.nrrd", Volume(np.zeros((1, *SMALL), np.float32), grid))
    shown = session.bridge.showMap(tmp_path / "map.nrrd", scans[1], "uncertainty")
    queue.look()
    assert [row.volume for row in queue.rows] == scans[1:]
    assert shown not in [row.volume for row in queue.rows]
