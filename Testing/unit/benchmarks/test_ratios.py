"""Ratios are medians of alternating pairs."""

import time

import pytest

from IncrementalSegLib.benchmarks.ratios import Ratio, compare


def test_compare_divides_the_first_by_the_second() -> None:
    ratio = compare("slow / quick", lambda: time.sleep(0.02), lambda: time.sleep(0.005), pairs=5, limit=2.0)
    row = ratio.to_json()
    assert 2.0 < row["median"] < 8.0
    assert row["pairs"] == 5
    assert row["limit"] == 2.0


def test_quartiles_of_a_table() -> None:
    row = Ratio("x", None, (1.0, 2.0, 3.0, 4.0, 5.0), (0.1, 0.2)).to_json()
    assert (row["quartiles"], row["median"]) == ([2.0, 4.0], pytest.approx(3.0))
