"""From outlines in the scene to candidates, with a real worker process and real MRML."""

import sys

import pytest
import slicer
from IncrementalSegPanel.scene.SceneBridge import SceneBridge
from IncrementalSegPanel.Start import defer
from IncrementalSegPanel.State import State
from IncrementalSegPanel.Worker import Worker
from phantom_scene import add_shoulder
from scripted_worker import session_in
from standin.events import wait

from IncrementalSegLib.progress import Phase

LONG = 100
"""Seconds; other processes may keep this computer busy."""


@pytest.fixture
def session(tmp_path):
    worker = Worker(tmp_path / "worker.log", (sys.executable, "-m", "IncrementalSegLib.worker"))
    found = session_in(tmp_path, SceneBridge(), worker)
    found.defer = defer
    found.opening.begin("Shoulder")
    for number, name in enumerate(("Anna", "Bert", "Carl", "Dora")):
        add_shoulder(name, number, {"Scapula": "scapula", "Upper arm": "humerus"}, (6, 32, 32))
    yield found
    worker.shutdown()


def reach(session, state):
    """Run the event loop until a state is reached, and fail at once with what the panel says."""
    wait(lambda: session.state is state or session.failure is not None, LONG)
    assert session.failure is None, (session.failure, session.worker.lastLines())


def prepared(session, name, steps):
    """Summarise a step that teaches the outline of that name, with few steps and few exemplars."""
    teaching = session.teaching
    teaching.begin(name)
    assert [row.ticked for row in teaching.collecting.rows] == [True] * 4
    assert teaching.collecting.obstacle == ""
    teaching.toSummary()
    wait(lambda: teaching.summary.advice is not None or session.failure is not None, LONG)
    assert session.failure is None, session.failure
    teaching.summary.stepOptions.settings.values |= {"steps": steps, "preset": "quick", "device": "cpu"}
    teaching.summary.stepOptions.options.values |= {"passes": 2, "candidates": 4, "keep": 2}
    return teaching.summary


def learning(session):
    """Begin, and run until the learning itself has begun."""
    flow = session.teaching.learning
    session.teaching.teach()
    wait(lambda: (flow.phase is Phase.TRAINING and flow.fraction > 0) or session.failure is not None, LONG)
    assert session.failure is None, session.failure
    return flow


def test_teach_stop_and_keep_pause_and_resume(session):
    summary = prepared(session, "Scapula", steps=4)
    scans = summary.scans
    summary.measure()
    wait(lambda: summary.estimate is not None or session.failure is not None, LONG)
    assert session.failure is None, session.failure
    assert summary.sentences[0].startswith("At most ")
    assert summary.sentences[1] == "It is the first structure of this model."
    session.teaching.teach()
    reach(session, State.COMPARING)
    assert session.teaching.learning.latestDice.keys() == {"Scapula"}
    assert session.model is None
    wait(lambda: not session.comparing.obstacleToDecide or session.failure is not None, LONG)
    assert session.failure is None, session.failure
    session.comparing.decide()
    wait(lambda: session.model is not None and session.state is not State.COMPARING, LONG)
    assert session.model.heads[0].name == "Scapula"
    assert (scans / "manifest.csv").is_file()
    session.home()

    prepared(session, "Upper arm", steps=5000)
    flow = learning(session)
    flow.stop("keep")
    reach(session, State.COMPARING)
    assert session.model.candidates == (2,)
    assert session.model.version == 1
    session.home()

    prepared(session, "Upper arm", steps=5000)
    learning(session).stop("pause")
    wait(lambda: session.state is State.READY, LONG)
    assert session.model.unfinished.structures == ("Upper arm",)
    assert "paused" in session.warnings[0]
    slicer.mrmlScene.Clear(0)  # the scans of the step lie on the disk
    session.teaching.resume()
    flow = session.teaching.learning
    wait(lambda: flow.phase is Phase.TRAINING and flow.fraction > 0, LONG)
    flow.stop("discard")
    wait(lambda: session.state is not State.TEACHING, LONG)
    session.refresh()
    assert session.model.candidates == (2,)
