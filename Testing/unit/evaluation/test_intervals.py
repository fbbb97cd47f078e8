from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import bootstrap

from IncrementalSegLib.errors import DataError
from IncrementalSegLib.evaluation.intervals import compare, mean_interval, signed

RNG = np.random.default_rng


def pairs(table):
    """Return {(case, seed): value} from rows = seeds, columns = cases."""
    return {(f"c{case}", seed): value for seed, row in enumerate(table) for case, value in enumerate(row)}


def test_mean_interval_agrees_with_scipy():
    values = RNG(1).beta(8, 2, 15)
    ours = mean_interval(list(values), RNG(2))
    theirs = bootstrap((values,), np.mean, method="percentile", n_resamples=20_000, rng=RNG(3)).confidence_interval
    assert ours == pytest.approx((theirs.low, theirs.high), abs=0.004)
    assert mean_interval(list(values), RNG(2)) == ours
    assert mean_interval([0.5] * 4, RNG(0)) is None
    assert mean_interval([0.5] * 6, RNG(0)) == (0.5, 0.5)


def test_cases_of_one_patient_are_drawn_together():
    values = list(RNG(4).random(8))
    doubled = mean_interval(values * 2, RNG(5), groups=[str(index) for index in range(8)] * 2)
    assert doubled == pytest.approx(mean_interval(values, RNG(5)))
    assert mean_interval(values, RNG(5), groups=list("aabbccdd")) is None


def test_paired_interval_agrees_with_a_plain_loop():
    a, b = RNG(6).random((3, 7)), RNG(7).random((3, 7))
    result = compare(pairs(a), pairs(b), RNG(8))
    difference, draw, means = 100 * (a - b), RNG(9), []
    for _ in range(8000):
        cases = draw.integers(0, 7, 7)
        means.append(np.mean([difference[seed, cases].mean() for seed in draw.integers(0, 3, 3)]))
    assert result.points == pytest.approx(difference.mean())
    assert (result.low, result.high) == pytest.approx(np.percentile(means, [2.5, 97.5]), abs=1.2)
    assert (result.cases, result.seeds, result.left_out) == (7, 3, 0)
    assert compare(pairs(a), pairs(b), RNG(8)) == result


def test_seeds_with_their_own_cases_draw_them_apart():
    rows = RNG(10).normal(0, 0.1, (2, 6))
    shared = compare(pairs(rows), pairs(rows * 0), RNG(0))
    own = {(f"s{seed}-{case}", seed): value for (case, seed), value in pairs(rows).items()}
    apart = compare(own, dict.fromkeys(own, 0.0), RNG(0))
    assert apart.cases == 12
    assert apart.points == pytest.approx(shared.points)

    # With equal rows in both seeds a shared draw halves nothing, whereas separate draws average out.
    same = np.stack([rows[0], rows[0]])
    wide = compare(pairs(same), pairs(same * 0), RNG(0)).smallest_points
    named = {(f"s{seed}-{case}", seed): value for (case, seed), value in pairs(same).items()}
    assert compare(named, dict.fromkeys(named, 0.0), RNG(0)).smallest_points < 0.9 * wide


SPREAD = np.linspace(-1, 1, 6)


@pytest.mark.parametrize(
    ("points", "spread", "verdict", "not_below"),
    [
        (10, 5, "better", True),
        (-10, 5, "worse", False),
        (-1, 0.1, "worse", True),
        (0, 1, "not below", True),
        (0, 30, "not distinguishable", False),
    ],
)
def test_verdicts(points, spread, verdict, not_below):
    table = np.stack([(points + spread * SPREAD) / 100] * 3)
    result = compare(pairs(table), pairs(table * 0), RNG(0))
    assert (result.verdict, result.not_below) == (verdict, not_below)
    assert result.smallest_points == pytest.approx((result.high - result.low) / 2)
    sentence = result.sentence("lwfseg", "finetune")
    assert verdict in sentence
    assert "6 cases and 3 seeds" in sentence
    assert ("could have shown" in sentence) == (verdict == "not distinguishable")


def test_fewer_than_five_cases_are_listed():
    result = compare(pairs([[0.9, 0.8]]), pairs([[0.5, 0.9]]), RNG(0))
    assert (result.verdict, result.low, result.high, result.smallest_points) == ("no interval", None, None, None)
    assert result.per_case == (("c0", pytest.approx(40.0)), ("c1", pytest.approx(-10.0)))
    assert "c0 +40.0, c1 −10.0" in result.sentence("a", "b")


def test_only_pairs_count():
    a, b = pairs([[0.5, 0.6, None]]), pairs([[0.4, 0.6, 0.0]]) | {("other", 0): 1.0}
    result = compare(a, b, RNG(0))
    assert (result.cases, result.left_out) == (2, 2)
    assert result.points == pytest.approx(5.0)
    with pytest.raises(DataError, match="share no case"):
        compare(pairs([[None]]), b, RNG(0))


def test_signed_numbers():
    got = [signed(value) for value in (1.25, -0.04, -3.0, 0.0)]
    assert got == ["+1.2", "0.0", "−3.0", "0.0"]
