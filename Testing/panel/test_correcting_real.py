"""Corrections with a real worker: a round, a kill, a new start, and what is kept."""

import os
import signal

import pytest
import qt
import slicer
from IncrementalSegPanel.State import State
from IncrementalSegPanel.Worker import Worker
from panel.correcting_tasks import Hand
from phantom_scene import add_shoulder
from standin.events import wait

from IncrementalSegLib.store.summary import read_summary

pytest.importorskip("skimage")


@pytest.fixture(scope="module")
def taught(tmp_path_factory):
    """A model that has hardly learned anything, and is unsure nearly everywhere."""
    from operations import _small_steps
    from tiny import FEW

    from IncrementalSegLib.engine.learn import learn
    from IncrementalSegLib.sampling.phantom import write_phantom_dataset

    place = tmp_path_factory.mktemp("taught")
    write_phantom_dataset(place / "arm", 1, "A", ["humerus"], 1, (8, 48, 48))
    with _small_steps():
        learn(place / "Shoulder", place / "arm", "humerus", options=FEW, preset="quick", steps=2, device="cpu")
    return place / "Shoulder"


@pytest.mark.slow
def test_a_round_a_kill_and_what_is_kept_with_a_real_worker(session, panel, taught, tmp_path):
    worker = Worker(tmp_path / "worker.log")
    session.worker, session.defer = worker, lambda act: qt.QTimer.singleShot(0, act)
    scan, _outlines = add_shoulder("MR 12", 9, {"humerus": "humerus"}, (8, 48, 48))
    session.parameters.inputVolume = scan
    flow = session.correcting

    def idle():
        return not flow.phase and not worker.busy

    def until(condition):
        wait(lambda: condition() or session.failure is not None, 90)
        assert session.failure is None, f"{session.failure}\n{worker.lastLines()}"

    try:
        session.opening.open(taught)
        flow.begin(session.segmenting.volume)
        until(lambda: idle() and flow.spots.items is not None)
        assert flow.spots.items
        assert flow.session.method == "lwfseg"
        hand = Hand(session, read_summary(taught))
        hand.paint("humerus", (slice(2, 5), slice(20, 26), slice(20, 26)))
        hand.paint("background", (slice(1, 3), slice(2, 6), slice(2, 6)))
        flow.refine()
        until(lambda: idle() and flow.session.status.rounds == 1)
        node, segment = session.parameters.segmentation, session.model.heads[0].id
        outline = slicer.util.arrayFromSegmentBinaryLabelmap(node, segment, scan)
        assert outline[2:5, 20:26, 20:26].all()
        assert not outline[1:3, 2:6, 2:6].any()
        flow.refine()
        wait(lambda: flow.phase == "Learning", 60)
        os.kill(worker._link.client.hello.pid, signal.SIGKILL)
        wait(lambda: session.failure is not None and idle(), 60)
        assert flow.session.status.rounds == 1
        flow.leave()
        session.refresh()
        panel.render()
        assert "neither kept nor discarded" in panel._header.ui.pendingLabel.text
        session.dismiss()
        panel._header.ui.pendingButton.click()
        until(lambda: idle() and flow.spots.items is not None)
        assert flow.session.status.rounds == 1
        flow.session.lookBack()
        until(lambda: idle() and flow.session.back)
        flow.session.keep()
        until(lambda: session.state is State.COMPARING and session.comparing.report is not None)
        assert (session.comparing.number, session.comparing.status) == (2, "candidate")
        assert session.model.version == 1
        assert "corrections of 1 scan" in session.comparing.version.done
    finally:
        worker.shutdown()
