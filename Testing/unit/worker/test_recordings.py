"""What was recorded for tests of a front end is still what a worker takes and says."""

import itertools
import json

import pytest
from recordings import FOLDER, WORLD, end_of, read

from IncrementalSegLib.wire import events
from IncrementalSegLib.worker import verbs

NAMES = sorted(file.stem for file in FOLDER.glob("*.jsonl"))


@pytest.mark.parametrize("name", NAMES)
def test_a_worker_still_takes_the_requests_and_each_has_an_end(name):
    for exchange in read(name):
        verbs.bind(exchange.verb, exchange.arguments)
        assert isinstance(exchange.events[-1], events.Finished | events.Failed | events.Cancelled), exchange.verb
        assert not any(isinstance(event, events.Unknown) for event in exchange.events)


@pytest.mark.parametrize("name", NAMES)
def test_progress_never_goes_back(name):
    for exchange in read(name):
        said = [event for event in exchange.events if isinstance(event, events.Progressed)]
        for before, after in itertools.pairwise(said):
            assert after.fraction >= before.fraction
            if before.eta is not None:
                assert after.eta is not None
                assert after.eta <= before.eta + 0.5


def test_what_a_panel_shows_is_in_them(tmp_path):
    assert NAMES == ["compare", "exemplars", "learn", "resume", "segment"]
    harmed, kept = (end_of("learn", "learn", nth=nth).result for nth in (0, 1))
    assert harmed["held_back_by"]
    assert not kept["held_back_by"]
    assert end_of("resume", "learn") == events.Cancelled(end_of("resume", "learn").job, kept=True)
    assert end_of("resume", "summary").result["unfinished"]["fraction"] >= 0.5
    (teach,) = (
        item for item in read("learn", tmp_path) if item.verb == "learn" and "separate" in item.arguments["method"]
    )
    said = [event for event in teach.events if isinstance(event, events.Metric)]
    assert {"loss", "dice", "worst_change"} <= {event.name for event in said}
    previews = [event.path for event in teach.events if isinstance(event, events.Preview)]
    assert previews
    assert all(path.startswith(str(tmp_path)) for path in previews)
    assert end_of("compare", "compare_pictures").result["pictures"]
    assert {json.loads(line)["job"] for line in teach.lines("my job")} == {"my job"}
    assert WORLD not in "".join(teach.lines("my job"))
