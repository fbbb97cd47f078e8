import math

import pytest

from IncrementalSegLib.progress import Phase
from IncrementalSegLib.wire.events import Metric, Preview, Progressed
from IncrementalSegLib.wire.reporter import Reporter


class Wire:
    """A reporter with a clock that a test sets, and what it sent."""

    def __init__(self):
        self.now, self.sent = 0.0, []
        self.report = Reporter("7", self.sent.append, lambda: self.now)

    def take(self):
        found, self.sent[:] = list(self.sent), []
        return found


@pytest.fixture
def wire():
    return Wire()


def test_a_second_of_progress_is_at_most_ten_events_and_loses_no_number(wire):
    for step in range(1000):
        wire.now = step / 1000
        wire.report("training", step / 2000, {"loss": step})
    found = wire.take()
    assert 5 <= sum(isinstance(event, Progressed) for event in found) <= 11
    assert 5 <= sum(isinstance(event, Metric) for event in found) <= 11
    wire.report("training", 0.6, {"dice": 0.5})
    assert wire.take() == [Metric("7", "dice", 0.5, "training", 0.6)]
    wire.now = 2.0
    wire.report("training", 0.7)
    (event,) = wire.take()
    assert event.numbers == {"loss": 999, "dice": 0.5}


def test_a_new_phase_and_the_end_of_one_are_sent_at_once(wire):
    for phase, fraction in (("reading", 0.0), ("reading", 0.5), ("reading", 1.0), ("saving", 0.0)):
        wire.report(phase, fraction)
    assert [(event.phase, event.fraction) for event in wire.take()] == [("reading", 0), ("reading", 1), ("saving", 0)]


def test_a_phase_goes_over_the_wire_as_a_key_with_its_detail(wire):
    wire.report(Phase.SEGMENTING.of("scan"), 0.5, {"ml": 3.0})
    metric, progress = wire.take()
    assert (metric.phase, progress.phase, progress.detail) == ("segmenting", "segmenting", "scan")
    wire.report(Phase.TRAINING, 0.0)
    assert [(event.phase, event.detail) for event in wire.take()] == [("training", "")]


def test_the_time_left_is_that_of_the_phase_where_the_job_is_unknown(wire):
    wire.report("reading", 0.9)
    wire.now = 10.0
    wire.report("training", 0.5)  # a resumed step begins in the middle
    wire.now = 20.0
    wire.report("training", 0.51)
    wire.now = 30.0
    wire.report("training", 0.75)
    assert [event.eta for event in wire.take()] == [None, None, None, 20.0]


def test_progress_and_time_left_are_those_of_the_whole_job(wire):
    report = Reporter("7", wire.sent.append, lambda: wire.now, verb="learn", expected={"reading": 50, "learning": 150})
    for wire.now, phase, fraction in (
        (0.0, "starting", 0.0),
        (10.0, "reading", 0.5),
        (12.0, "loading", 0.0),
        (30.0, "training", 0.0),
        (180.0, "training", 1.0),
        (181.0, "saving", 0.0),
    ):
        report(phase, fraction)
    found = wire.take()
    assert [event.phase for event in found] == ["starting", "reading", "reading", "training", "training", "saving"]
    assert [event.fraction for event in found] == [0, 0.125, 0.125, 0.25, 1, 1]
    assert found[0].eta == 200
    assert found[3].eta == 150
    assert found[-1].eta == 0


@pytest.mark.parametrize(("fraction", "sent"), [(-1, 0), (2, 1), (math.nan, 0), (math.inf, 0)])
def test_a_fraction_is_a_fraction(wire, fraction, sent):
    wire.report("reading", fraction)
    assert wire.take() == [Progressed("7", "reading", sent)]


def test_a_result_is_shown_with_its_volumes(wire):
    wire.report.result("out/a.seg.nrrd", "a", {"liver": 12.5})
    assert wire.take() == [
        Metric("7", "ml", 12.5, "a", 1.0, "liver"),
        Preview("7", "segmentation", "out/a.seg.nrrd", "a"),
    ]


def test_a_look_at_a_training_is_told_by_structure(wire):
    wire.report("training", 0.2, {"loss": 1.0})
    wire.take()
    wire.report.on_validation(0.25, {"scapula": 0.5}, ("humerus", -1.5), {"scapula": ("seen/a.png", "scapula in a")})
    assert wire.take() == [
        Metric("7", "dice", 0.5, "training", 0.25, "scapula"),
        Metric("7", "worst_change", -1.5, "training", 0.25, "humerus"),
        Preview("7", "learning", "seen/a.png", "scapula in a", "scapula"),
    ]
    wire.now = 1.0
    wire.report("training", 0.3)
    (event,) = wire.take()
    assert event.numbers == {"loss": 1.0, "worst_change": -1.5}
    wire.report.on_validation(0.5, {}, None, {})
    assert wire.take() == []
