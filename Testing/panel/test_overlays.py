"""Maps over the scan: uncertainty, and the similarity to a structure."""

from pathlib import Path

import pytest
from IncrementalSegPanel.State import State
from panel.noting_bridge import SCAN
from panel.segmenting_tasks import SCAPULA, SUMMARY, answer, leftovers, ready_session, start
from scripted_worker import open_model

from IncrementalSegLib.errors import DataError
from IncrementalSegLib.wire import events


@pytest.fixture
def session(tmp_path):
    return ready_session(tmp_path)


def test_uncertainty_is_an_overlay_that_goes_with_the_result(session):
    session.segmenting.wantUncertainty(True)
    answer(session, start(session))
    file = session.segmenting.outcome.uncertainty
    session.segmenting.showUncertainty(True)
    assert session.segmenting.overlay.shown
    session.defer.run()
    assert session.bridge.done[1:] == [("showMap", file, SCAN, "uncertainty")]
    session.segmenting.close()
    assert session.bridge.done[2:] == [("hideMap",)]
    assert session.state is State.READY
    assert leftovers(session) == []


def test_an_overlay_that_is_hidden_before_it_was_read_never_appears(session):
    session.segmenting.wantUncertainty(True)
    answer(session, start(session))
    session.segmenting.showUncertainty(True)
    session.segmenting.showUncertainty(False)
    assert session.bridge.exports[-1].cancelled
    session.defer.run()
    assert all(name != "showMap" for name, *_rest in session.bridge.done)


def test_an_overlay_that_cannot_be_shown_is_one_sentence(session):
    session.segmenting.wantUncertainty(True)
    answer(session, start(session))
    session.bridge.refusal = DataError("The map is gone.")
    session.segmenting.showUncertainty(True)
    session.defer.run()
    assert session.failure.what == "The map is gone."
    assert not session.segmenting.overlay.shown
    assert session.state is State.DONE


@pytest.fixture
def compared(session):
    """Return a session whose model has directions of structures, with a result."""
    session.model = open_model(SUMMARY | {"output": "embedding"})
    answer(session, start(session))
    return session


def finish_map(session):
    """Let the worker write the map of similarity that it was asked for."""
    asked = session.worker.last("segment")
    folder = Path(asked.arguments["output"])
    folder.mkdir()
    files = [folder / "scan.seg.nrrd", folder / f"scan-similarity-{asked.arguments['similarity']}.nrrd"]
    for file in files:
        file.write_text("voxels")
    asked.finish(outputs=[str(file) for file in files])
    session.defer.run()
    return files[-1]


def test_the_similarity_to_a_structure_is_computed_once_and_goes_with_the_result(compared):
    flow, done = compared.segmenting, compared.bridge.done
    scapula = flow.comparable[1]
    flow.showSimilarity(scapula)
    asked = compared.worker.last("segment").arguments
    assert (asked["structures"], asked["similarity"]) == ("scapula", "scapula")
    assert Path(asked["scans"]).read_text() == "voxels"
    assert (flow.overlay.shown, flow.overlay.progressText) == (SCAPULA, "Computing the map of similarity")
    file = finish_map(compared)
    assert done[1:] == [("showMap", file, SCAN, "similarity to scapula")]
    assert (flow.overlay.shown, flow.overlay.progressText) == (SCAPULA, "")
    flow.showSimilarity(None)
    assert done[2:] == [("hideMap",)]
    requests = len(compared.worker.asked)
    flow.showSimilarity(scapula)
    compared.defer.run()
    assert len(compared.worker.asked) == requests
    assert done[3:] == [("showMap", file, SCAN, "similarity to scapula")]
    flow.undo()
    assert ("hideMap",) in done[4:]
    assert (compared.state, leftovers(compared)) == (State.READY, [])


def test_one_map_takes_the_place_of_another(session):
    session.model = open_model(SUMMARY | {"output": "embedding"})
    session.segmenting.wantUncertainty(True)
    answer(session, start(session))
    flow, done = session.segmenting, session.bridge.done
    flow.showUncertainty(True)
    session.defer.run()
    flow.showSimilarity(flow.comparable[0])
    finish_map(session)
    flow.showUncertainty(True)
    session.defer.run()
    titles = [item[3] if item[0] == "showMap" else item[0] for item in done[1:]]
    assert titles == ["uncertainty", "hideMap", "similarity to humerus", "hideMap", "uncertainty"]


@pytest.mark.parametrize("leave", ["none", "close"])
def test_a_map_that_is_given_up_never_appears(compared, leave):
    flow = compared.segmenting
    flow.showSimilarity(flow.comparable[0])
    if leave == "none":
        flow.showSimilarity(None)
    else:
        flow.close()
    assert compared.worker.wishes == [("segment", "discard")]
    finish_map(compared)  # the wish came too late
    assert all(name != "showMap" for name, *_rest in compared.bridge.done)
    if leave == "close":
        assert leftovers(compared) == []


def test_another_structure_is_asked_for_when_the_first_has_ended(compared):
    flow = compared.segmenting
    flow.showSimilarity(flow.comparable[0])
    first = compared.worker.last("segment")
    flow.showSimilarity(flow.comparable[1])
    assert compared.worker.last("segment") is first
    first.say(events.Cancelled("", kept=False))
    assert compared.worker.last("segment").arguments["similarity"] == "scapula"
    finish_map(compared)
    assert compared.bridge.done[-1][-1] == "similarity to scapula"


def test_a_map_that_cannot_be_computed_is_one_sentence(compared):
    flow = compared.segmenting
    flow.showSimilarity(flow.comparable[0])
    compared.worker.last("segment").fail("The scan is gone.", "", "Load it again.")
    assert compared.failure.what == "The scan is gone."
    assert (compared.state, flow.overlay.shown, flow.overlay.progressText) == (State.DONE, "", "")


def test_only_a_model_with_directions_can_compare(session):
    assert session.segmenting.comparable == []
