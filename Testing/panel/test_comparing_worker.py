"""Accepting, discarding, going back and reviewing really happen: a real worker, a real model on the disk."""

import json

import pytest
from IncrementalSegPanel.scene.SceneBridge import SceneBridge
from IncrementalSegPanel.State import State
from IncrementalSegPanel.Worker import Worker
from scripted_worker import session_in
from standin.events import wait

from IncrementalSegLib.sampling.phantom import write_phantom_dataset

TINY = {"preset": "quick", "device": "cpu", "steps": 2, "options": {"passes": 2, "candidates": 4, "keep": 2}}
PATIENCE = 120
"""Seconds: the first request loads torch."""


@pytest.fixture
def session(tmp_path):
    found = session_in(tmp_path, SceneBridge(), Worker(tmp_path / "worker.log"))
    (tmp_path / "tmp").mkdir()
    found.folder = tmp_path / "models" / "arm"
    yield found
    found.worker.shutdown()


def learn(session, structure, seed, folder, **arguments):
    """Teach a structure as the teaching page does; returns what the worker answered."""
    write_phantom_dataset(folder / structure, 4, "A", [structure], seed, (4, 32, 32))
    model = {"model": str(session.folder), "data": str(folder / structure), "structures": structure}
    answers = []
    session.ask("learn", model | TINY | arguments, answers.append)
    wait(lambda: answers or session.failure, PATIENCE)
    assert session.failure is None, session.failure
    session.refresh()
    return answers[0]


def settled(session):
    wait(lambda: not session.worker.busy, PATIENCE)
    assert session.failure is None, session.failure


def standing(session):
    """Return current, accepted and rejected as the model's folder says."""
    state = json.loads((session.folder / "model.json").read_text())
    return state["current"], sorted(state["accepted"]), sorted(state["rejected"])


def test_from_a_candidate_to_a_reviewed_model_and_back(session, tmp_path):
    learn(session, "humerus", 1, tmp_path)
    result = learn(session, "scapula", 2, tmp_path, accept="never")
    session.home()
    flow = session.comparing
    flow.show(result["version"], result)
    settled(session)
    assert standing(session) == (1, [1], [])
    assert [row.structure for row in flow.report.rows] == ["humerus"]
    assert [item.status for item in flow.lineage] == ["candidate", "current"]
    assert "Version 2 knows scapula too." in flow.differences
    picture = flow.picture
    assert picture.before.is_file()
    assert picture.after.is_file()
    assert flow.obstacleToJump == ""
    flow.jump()
    assert session.bridge.openScan(picture.place.scan) is session.bridge.openScan(picture.place.scan)

    flow.discard()
    settled(session)
    assert standing(session) == (1, [1], [2])
    assert session.state is State.READY

    flow.show(2)
    settled(session)
    flow.agree(True)
    flow.decide()  # what was discarded can still be accepted
    settled(session)
    assert standing(session) == (2, [1, 2], [])
    assert session.state is State.REVIEWING
    assert session.model.version == 2

    board = session.reviewing
    assert {name for item in board.exemplars for name in item.structures} == {"humerus", "scapula"}
    assert all(board.thumbnails[item.id].is_file() for item in board.exemplars)
    assert board.coverage
    board.choose(board.shown[0].id)
    board.pin()
    settled(session)
    assert board.exemplar.mark == "pinned"
    assert standing(session)[0] == 3
    board.pin()
    settled(session)
    assert board.exemplar.mark == ""
    board.limit(2)
    settled(session)
    assert len(board.exemplars) == 2
    board.choosePrivacy(True)
    board.decide()
    settled(session)
    assert board.exemplars == ()
    board.decide()
    assert session.state is State.READY

    flow.show(1)
    settled(session)
    flow.decide()
    settled(session)
    assert standing(session)[0] == 1
    assert session.model.version == 1
