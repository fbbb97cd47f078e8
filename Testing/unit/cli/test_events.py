"""``learn --events`` prints what a worker sends."""

import logging

import pytest

from IncrementalSegLib.engine import learn as engine
from IncrementalSegLib.errors import DataError
from IncrementalSegLib.store.unfinished import Unfinished
from IncrementalSegLib.wire import events

FEW = ("--option", "passes=2", "--option", "candidates=4", "--option", "keep=2")


@pytest.fixture
def learn(command, data, tmp_path):
    """Return a function that runs the command and returns its status, its events and standard error."""

    def run(*more):
        said = command("learn", tmp_path / "new", "--data", data, "--structures", "liver", "--steps", 2,
                       "--events", "--device", "cpu", *FEW, *more)  # fmt: skip
        return said.status, [events.decode(line) for line in said.out.splitlines()], said.err

    return run


def test_standard_output_is_a_stream_of_events(learn):
    status, said, _ = learn("--json")
    assert status == 0
    assert isinstance(said[0], events.Hello)
    assert next(event.phase for event in said if isinstance(event, events.Progressed)) == "reading"
    assert any(isinstance(event, events.Metric) and event.name == "loss" for event in said)
    assert any(
        isinstance(event, events.Metric) and (event.name, event.structure) == ("dice", "liver") for event in said
    )
    assert said[-1].result["structures"] == ["liver"]
    assert isinstance(said[-1], events.Finished)


@pytest.mark.parametrize(
    ("error", "status", "end"),
    [
        (
            DataError("A scan is missing.", "", "Look."),
            1,
            events.Failed("learn", "A scan is missing.", "", "Look.", "", "DataError"),
        ),
        (KeyboardInterrupt(), 130, events.Cancelled("learn", kept=False)),
    ],
)
def test_the_last_event_says_how_it_ended(learn, monkeypatch, error, status, end):
    def fail(*arguments, progress, **more):
        progress("reading", 0.0)
        logging.getLogger("IncrementalSegLib.toy").warning("This scan is odd.")
        raise error

    monkeypatch.setattr(engine, "learn", fail)
    found, said, err = learn()
    assert found == status
    assert events.Warned("learn", "This scan is odd.") in said
    assert vars(said[-1]) | {"report": ""} == vars(end) | {"report": ""}
    assert "missing" in err or "Cancelled" in err


def test_ctrl_c_says_whether_there_is_something_to_resume(learn, monkeypatch, tmp_path):
    def fail(*arguments, **more):
        Unfinished(tmp_path / "new").write({}, {"curve": {"steps": 3, "planned": 9}}, {})
        raise KeyboardInterrupt

    monkeypatch.setattr(engine, "learn", fail)
    assert learn()[1][-1] == events.Cancelled("learn", kept=True)


def test_wrong_usage_is_no_event(command, tmp_path):
    said = command("learn", tmp_path / "new", "--events")
    assert said.status == 2
    assert len(said.out.splitlines()) == 1
    assert "--data" in said.err
