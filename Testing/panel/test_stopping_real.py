"""Closing Slicer in the middle of a step, discarding one, and going back to an earlier version, with a real worker."""

import sys

import pytest
import qt
import slicer
from IncrementalSegPanel.Closing import Closing
from IncrementalSegPanel.scene.SceneBridge import SceneBridge
from IncrementalSegPanel.Start import defer
from IncrementalSegPanel.State import State
from IncrementalSegPanel.Worker import Worker
from phantom_scene import add_shoulder
from scripted_worker import session_in
from standin import dialogs
from standin.events import wait

from IncrementalSegLib.progress import Phase

pytestmark = pytest.mark.slow

LONG = 100
"""Seconds; other processes may keep this computer busy."""

OUTLINES = {"Scapula": "scapula", "Upper arm": "humerus"}
SMALL = (6, 32, 32)


@pytest.fixture
def start(tmp_path):
    """Return a function that starts Slicer's panel anew, with the models and settings of the time before."""
    sessions = []

    def make():
        worker = Worker(tmp_path / "worker.log", (sys.executable, "-m", "IncrementalSegLib.worker"))
        found = session_in(tmp_path, SceneBridge(), worker)
        found.defer = defer
        if sessions:
            found.settings = sessions[-1].settings
        sessions.append(found)
        return found

    yield make
    for session in sessions:
        session.worker.shutdown()


def until(session, reached):
    wait(lambda: reached() or session.failure is not None, LONG)
    assert session.failure is None, (session.failure, session.worker.lastLines())


def begun(session, name, steps):
    """Begin a step for the outlines of that name in four scans."""
    if not slicer.util.getNodesByClass("vtkMRMLSegmentationNode"):
        for number, scan in enumerate(("Anna", "Bert", "Carl", "Dora")):
            add_shoulder(scan, number, OUTLINES, SMALL)
    session.home()
    session.teaching.begin(name)
    session.teaching.toSummary()
    summary = session.teaching.summary
    until(session, lambda: summary.advice is not None)
    summary.stepOptions.settings.values |= {"steps": steps, "preset": "quick", "device": "cpu"}
    summary.stepOptions.options.values |= {"passes": 2, "candidates": 4, "keep": 2}
    session.teaching.teach()
    return summary


def learning(session):
    """Run until the learning itself has begun."""
    flow = session.teaching.learning
    until(session, lambda: flow.phase is Phase.TRAINING)
    return flow


def taught(session, name):
    """Teach a structure in few steps and take the new version into use."""
    begun(session, name, steps=4)
    until(session, lambda: session.state is State.COMPARING)
    flow = session.comparing
    until(session, lambda: not flow.doing and flow.report is not None)
    flow.agree(True)
    until(session, lambda: not flow.obstacleToDecide)
    flow.decide()
    until(session, lambda: session.state is not State.COMPARING)
    session.home()


def test_slicer_closed_with_ok_goes_on_with_the_step_the_next_time(start, mainWindow):
    session = start()
    session.opening.begin("Shoulder")
    begun(session, "Scapula", steps=60)
    learning(session)
    closing = Closing(session)
    dialogs.answers.append(qt.QMessageBox.Ok)
    assert not closing.eventFilter(None, qt.QCloseEvent())  # the window closes
    closing.stop()
    session.close()
    session.worker.shutdown()  # as Slicer's aboutToQuit does
    folder = session.folder
    slicer.mrmlScene.Clear(0)

    session = start()
    session.opening.open(folder)
    assert "not finished" in session.failure.why
    remedy = session.failure.remedy
    session.dismiss()
    remedy.act()
    assert session.state is State.TEACHING
    until(session, lambda: session.state is State.COMPARING)
    assert session.comparing.number == 1
    assert session.teaching.learning.planned == 60
    until(session, lambda: not session.comparing.obstacleToDecide)
    session.comparing.decide()
    until(session, lambda: session.model is not None)
    assert [head.name for head in session.model.heads] == ["Scapula"]
    assert session.model.unfinished is None


def test_a_step_that_is_discarded_leaves_nothing_and_can_be_begun_again(start):
    session = start()
    session.opening.begin("Shoulder")
    summary = begun(session, "Scapula", steps=5000)
    scans = summary.scans
    learning(session).stop("discard")
    until(session, lambda: session.state is State.SUMMARY)
    assert session.unfinished is None
    folder = session.folder
    assert not list(folder.glob("unfinished/*"))
    assert not list(folder.glob("versions/*"))
    session.teaching.leave()
    assert not scans.exists()
    taught(session, "Scapula")
    assert session.model.version == 1


def test_an_earlier_version_segments_and_is_taught_after_going_back_to_it(start):
    session = start()
    session.opening.begin("Shoulder")
    taught(session, "Scapula")
    taught(session, "Upper arm")
    scan, _outlines = add_shoulder("Emil", 9, {}, SMALL)
    session.segmenting.chooseVolume(scan)
    names = segmented(session)
    assert names == ["Scapula", "Upper arm"]
    session.segmenting.leaveOut({session.model.heads[1].id})  # the arm, which version 1 never heard of

    session.comparing.show(1)
    until(session, lambda: session.comparing.status == "accepted" and not session.comparing.obstacleToDecide)
    session.comparing.decide()
    until(session, lambda: session.model.version == 1)
    session.home()
    assert [head.name for head in session.segmenting.chosen] == ["Scapula"]
    assert session.segmenting.obstacle == ""
    assert segmented(session) == ["Scapula"]

    begun(session, "Upper arm", steps=4)  # version 1 does not know it, though version 2 does
    until(session, lambda: session.state is State.COMPARING)
    assert session.comparing.number == 3
    assert session.model.version == 1


def segmented(session):
    """Segment the chosen scan; return the names of what was asked for."""
    session.segmenting.start()
    until(session, lambda: session.state is State.DONE)
    outcome = session.segmenting.outcome
    session.segmenting.close()
    return sorted(head.name for head in (*(head for head, _ml in outcome.found), *outcome.missing))
