from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ttest_rel

from Testing.benchmarks.claims import judged
from Testing.benchmarks.seeds import compare_methods

RNG = np.random.default_rng


def pairs(table):
    """Return {(case, seed): value} from rows = seeds, columns = cases."""
    return {(f"c{case}", seed): value for seed, row in enumerate(table) for case, value in enumerate(row)}


def against_nothing(table):
    return compare_methods(pairs(table), pairs(np.zeros_like(table)))


@pytest.mark.parametrize("turned", [False, True])
def test_where_only_one_side_varies_it_is_the_paired_t_test(turned):
    a, b = RNG(0).random(7), RNG(1).random(7)
    tables = [np.repeat(side[None], 7, axis=0) for side in (a, b)]
    found = compare_methods(*(pairs(table.T if turned else table) for table in tables))
    theirs = ttest_rel(100 * a, 100 * b).confidence_interval()
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high))
    assert (found.cases, found.seeds) == (7, 7)


def test_both_sides_by_hand():
    # Seeds' means 0, 3, 6 points: variance 9, over 3 seeds 3.  Cases' means 1, ..., 5: variance 2.5, over 5 cases 0.5.
    table = (np.array([[-3.0], [0.0], [3.0]]) + np.arange(1.0, 6.0)) / 100
    found = against_nothing(table)
    freedom = 3.5**2 / (3**2 / 2 + 0.5**2 / 4)  # 2.68
    assert freedom == pytest.approx(2.68, abs=0.01)
    assert found.points == pytest.approx(3)
    assert found.high - found.points == pytest.approx(3.41 * 3.5**0.5, rel=0.01)  # t: 3.18 for 3, 4.30 for 2


@pytest.mark.parametrize("spread", [(8, 5, 10), (8, 0, 3), (2, 8, 2)])
def test_the_interval_covers(spread):
    rng, held = RNG(2), 0
    seeds, cases, rest = spread
    for _ in range(200):
        table = (
            seeds * rng.standard_normal((3, 1)) + cases * rng.standard_normal(6) + rest * rng.standard_normal((3, 6))
        )
        found = against_nothing(table / 100)
        held += found.low <= 0 <= found.high
    assert held >= 182  # 91 %; a bootstrap over seeds and cases covers 150 to 175


def test_two_seeds_have_neither_interval_nor_verdict():
    found = against_nothing(np.full((2, 9), 0.1) + RNG(3).random((2, 9)) / 100)
    assert (found.low, found.high, found.verdict) == (None, None, "no interval")
    assert judged("claim", True, "", found.seeds).verdict == "TOO FEW SEEDS"
    assert [judged("claim", seen, "", 3).verdict for seen in (True, False)] == ["PASS", "NOT SEEN"]


def test_equal_methods_differ_by_nothing():
    found = against_nothing(np.zeros((3, 5)))
    assert (found.low, found.high) == (0, 0)
