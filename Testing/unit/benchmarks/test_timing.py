"""Ratios are medians of alternating pairs, and seconds belong to the phase that took them."""

import time

import pytest

from IncrementalSegLib.progress import Phase
from Testing.benchmarks.timing import Ratio, Stopwatch, compare


def test_compare_divides_the_first_by_the_second():
    ratio = compare("slow / quick", lambda: time.sleep(0.02), lambda: time.sleep(0.005), pairs=5, limit=2.0)
    row = ratio.to_json()
    assert 2.0 < row["median"] < 8.0
    assert row["pairs"] == 5
    assert row["limit"] == 2.0


def test_quartiles_of_a_table():
    row = Ratio("x", None, (1.0, 2.0, 3.0, 4.0, 5.0), (0.1, 0.2)).to_json()
    assert (row["quartiles"], row["median"]) == ([2.0, 4.0], pytest.approx(3.0))


def test_phases_are_timed_under_a_label():
    seen = []
    watch = Stopwatch(lambda phase, fraction, numbers=None: seen.append(phase), "first")
    time.sleep(0.02)
    watch(Phase.TRAINING, 0.5)
    watch(Phase.SAVING, 0.0)
    assert seen == ["first: Learning", "first: Saving"]
    assert watch.to_json()["phases"]["Learning"] >= 0.02
