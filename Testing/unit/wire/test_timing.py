"""One progress for a whole job: it never goes back, whatever its phases do."""

import itertools
import math

import pytest

from IncrementalSegLib.progress import Phase, about, rounded
from IncrementalSegLib.wire.timing import PARTS, USUAL, JobProgress

STEP = (Phase.READING, Phase.PREPARING, Phase.TRAINING, Phase.REMEMBERING, Phase.CHECKING_OLD, Phase.SAVING)
ESTIMATE = {
    "reading": 20, "preparing": 15, "learning": 900, "scoring": 60, "checkpoints": 20, "remembering": 40,
    "judging": 25, "saving": 5,
}  # fmt: skip

# Seconds, phase and share of the phase, as a real worker told them on a computer that grew slower half-way.
RECORDED = [
    (0, "starting", 0), (0, "reading", 0), (0.1, "reading", 1), (0.6, "training", 0.017), (1.4, "training", 0.067),
    (2.1, "training", 0.117), (2.8, "training", 0.167), (4.1, "training", 0.183), (6.7, "training", 0.233),
    (9.3, "training", 0.283), (11.5, "training", 0.333), (12.9, "training", 0.367), (15.4, "training", 0.417),
    (17.5, "training", 0.467), (19.3, "training", 0.5), (21.7, "training", 0.55), (23.8, "training", 0.6),
    (26.4, "training", 0.65), (28.4, "training", 0.683), (30.2, "training", 0.733), (33, "training", 0.783),
    (35.6, "training", 0.833), (37.6, "training", 0.867), (40.2, "training", 0.917), (42.3, "training", 0.967),
    (43.7, "training", 1), (43.8, "training", 1), (43.9, "training", 1), (43.9, "training", 1),
    (43.9, "remembering", 0), (44, "remembering", 0.75), (44.2, "remembering", 0.6), (44.3, "remembering", 0.925),
    (44.3, "remembering", 1), (44.3, "remembering", 1), (44.4, "checking_old", 0), (44.4, "checking_old", 1),
    (44.4, "saving", 0),
]  # fmt: skip

# The same of a made-up step whose phases last as long as its estimate says.
LONG = [
    (0, "starting", 0), (0, "reading", 0), (10, "reading", 0.5), (20, "reading", 1), (20, "preparing", 0),
    (35, "preparing", 1), (40, "training", 0.005), (84, "training", 0.05), (133, "training", 0.1),
    (200, "training", 0.1667), (210, "training", 0.1667), (215, "loading", 1), (525, "training", 0.5),
    (770, "training", 0.75), (1015, "training", 1), (1015, "remembering", 0), (1035, "remembering", 0.75),
    (1040, "remembering", 0.6), (1055, "remembering", 1), (1055, "checking_old", 0), (1080, "checking_old", 1),
    (1080, "saving", 0), (1085, "saving", 1),
]  # fmt: skip


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def played(records, job="learn", expected=None):
    """Return time, fraction and time left after each record."""
    clock = Clock()
    found = JobProgress(job, expected, clock)
    rows = []
    for clock.now, phase, fraction in records:
        found.update(phase, fraction)
        rows.append((clock.now, found.fraction, found.left))
    return rows


def assert_never_back(rows, rise=0.2):
    """The share never falls; the time left rises by a fifth of a second in a second at most."""
    for before, after in itertools.pairwise(rows):
        assert after[1] >= before[1]
        if before[2] is not None:
            assert after[2] is not None
            assert after[2] <= before[2] + rise * (after[0] - before[0]) + 1e-9


@pytest.mark.parametrize("records", [RECORDED, LONG])
@pytest.mark.parametrize("factor", [None, 0.05, 1, 4])
def test_a_step_never_goes_back_however_wrong_its_estimate_is(records, factor):
    expected = None if factor is None else {name: factor * value for name, value in ESTIMATE.items()}
    rows = played(records, expected=expected)
    assert_never_back(rows)
    assert rows[-1][1] >= 0.95


def test_an_estimate_that_holds_is_the_time_left_from_the_start():
    rows = played(LONG, expected=ESTIMATE)
    assert rows[0][2] == sum(ESTIMATE.values()) == LONG[-1][0]
    for now, fraction, left in rows:
        assert left == pytest.approx(1085 - now, abs=25)
        assert fraction == pytest.approx(now / 1085, abs=0.03)


def test_without_an_estimate_nothing_is_said_until_learning_is_measured():
    rows = played(LONG)
    assert [now for now, _fraction, left in rows if left is None] == [now for now, *_ in LONG if now < 84]
    assert all(left == pytest.approx(1085 - now, abs=160) for now, _fraction, left in rows if left is not None)


@pytest.mark.parametrize("expected", [None, ESTIMATE])
def test_nothing_that_a_worker_may_say_goes_back(expected):
    """Phases again, skipped, unknown and out of order, shares that fall, a clock that stands still."""
    phases = (*STEP, Phase.LOADING, Phase.READING, "of a newer worker", Phase.SEGMENTING.of("scan"))
    records = [(7 * (number // 2), phases[number * 11 % 10], (number * 37 % 101) / 100) for number in range(500)]
    rows = played(records, expected=expected)
    assert_never_back(rows)
    assert all(0 <= fraction <= 1 for _now, fraction, _left in rows)


def test_what_a_phase_does_meanwhile_is_part_of_it():
    found = JobProgress("learn")
    found.update(Phase.STARTING, 0.0)
    assert found.phase == Phase.STARTING
    found.update(Phase.READING, 0.5)
    found.update(Phase.LOADING, 1.0)
    assert (found.phase, found.fraction) == (Phase.READING, pytest.approx(0.02))
    found.update(Phase.TRAINING, 0.0)
    found.update(Phase.READING, 0.9)
    assert (found.phase, found.fraction) == (Phase.TRAINING, pytest.approx(0.06))


def test_a_phase_that_ends_early_takes_its_time_with_it():
    rows = played(
        [(0, "reading", 0), (35, "training", 0), (335, "training", 0.3), (336, "remembering", 0)], expected=ESTIMATE
    )
    assert rows[-2][2] > 600
    assert rows[-1][2] < 80


def test_a_resumed_step_begins_in_the_middle():
    rows = played([(0, "reading", 1), (10, "training", 0.5), (110, "training", 0.6)], "resume")
    assert rows[1][1] > 0.4
    assert rows[-1][2] == pytest.approx(400 + 1000 * 14 / 80)


def test_several_scans_are_one_job():
    found = JobProgress("segment")
    for number, name in enumerate("abcd"):
        found.update(Phase.SEGMENTING.of(name), number / 4)
        assert found.phase == Phase.SEGMENTING.of(name)
    assert found.fraction == pytest.approx(0.1 + 0.9 * 0.75)


def test_each_phase_of_an_unknown_job_counts_for_itself():
    clock = Clock()
    found = JobProgress("", clock=clock)
    found.update("making scans", 0.5)
    assert (found.phase, found.fraction, found.left) == ("making scans", 0.5, None)
    clock.now = 10.0
    found.update("making scans", 0.75)
    assert found.left == 10
    found.update("learning", 0.1)
    assert (found.phase, found.fraction, found.left) == ("learning", 0.1, None)


@pytest.mark.parametrize("value", [math.nan, math.inf, -1.0, 0.0])
def test_an_estimate_that_is_none_is_left_out(value):
    found = JobProgress("learn", {"learning": value, "of a newer worker": 5.0})
    found.update(Phase.READING, 1.0)
    assert (found.fraction, found.left) == (pytest.approx(0.04), None)


def test_every_phase_of_a_step_is_estimated():
    assert set(PARTS.values()) == set(USUAL["learn"]) == set(STEP)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "a few seconds"), (4.9, "a few seconds"), (43, "about 45 s"), (58, "about 1 min"), (89, "about 1 min"),
     (1000, "about 17 min"), (1085, "about 18 min"), (1500, "about 25 min"), (3700, "about 60 min"),
     (7300, "about 2 h"), (3 * 86400, "about 3 days")],
)  # fmt: skip
def test_durations_are_as_coarse_as_they_are_sure(seconds, words):
    assert about(seconds) == words
    assert (rounded(seconds)[0] == 0) == (seconds < 5)
