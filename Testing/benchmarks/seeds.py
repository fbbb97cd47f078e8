"""Two methods compared over seeds and cases."""

from __future__ import annotations

import numpy as np
from scipy.stats import t

from IncrementalSegLib.evaluation.intervals import FEWEST_CASES, Comparison, Interval, Pairs, Rows, comparison

FEWEST_SEEDS = 3
"""With fewer seeds there is neither an interval nor a verdict."""


def compare_methods(a: Pairs, b: Pairs) -> Comparison:
    """Compare two methods on the same cases and seeds.

    Args:
        a: Dice 0..1 by case and seed.
        b: The same of the other method.

    Returns:
        The difference a - b in points, with an interval from three seeds and five cases on.

    Raises:
        DataError: The two sides have no case and seed in common.
    """
    return comparison(a, b, _interval)


def _interval(rows: Rows) -> Interval | None:
    """Return the 95 % t-interval of the mean over seeds and cases.

    The variance is that of the seeds' means plus that of the cases' means, each of its mean, with the degrees of
    freedom of Welch and Satterthwaite.  A hard case is hard for every seed, and a bad seed is bad in every case: on
    simulated runs with 3 to 8 seeds and 5 or 12 cases the interval covers 93 to 99 %, whichever varies more.  A
    bootstrap over both covers 76 to 99 %, a t-interval over the seeds alone 36 to 97 %.
    """
    cells = [(case, seed, value) for seed, row in rows.items() for case, value in row.items()]
    cases = sorted({case for case, _, _ in cells})
    if len(rows) < FEWEST_SEEDS or len(cases) < FEWEST_CASES:
        return None
    by_seed = [np.mean(list(row.values())) for row in rows.values()]
    by_case = [np.mean([value for name, _, value in cells if name == case]) for case in cases]
    parts = [(float(np.var(means, ddof=1)) / len(means), len(means) - 1) for means in (by_seed, by_case)]
    variance = sum(part for part, _ in parts)
    middle = float(np.mean(by_seed))
    if variance == 0:
        return middle, middle
    freedom = variance**2 / sum(part**2 / degrees for part, degrees in parts)
    reach = float(t.ppf(0.975, freedom)) * variance**0.5
    return middle - reach, middle + reach
