"""Comparisons with 95 % intervals, and their verdict.

The rules hold for every number the project publishes: comparisons are paired by test case and seed; *better* needs an
interval that excludes 0; *not below* needs a lower end above -2 points; anything else is "not distinguishable", which
is a result, and comes with the smallest difference the run could have shown. Fewer than five cases have no interval.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from IncrementalSegLib.errors import DataError
from IncrementalSegLib.types import Json

Interval = tuple[float, float]
Pairs = Mapping[tuple[str, int], float | None]
"""Dice by case and seed; ``None`` where undefined."""
Rows = Mapping[int, Mapping[str, float]]
"""Paired differences in points, by seed and case."""
Significance = Literal["better", "worse", "not below", "not distinguishable", "no interval"]

FEWEST_CASES = 5
MARGIN_POINTS = 2.0
_RESAMPLES = 10_000
_QUANTILES = (0.025, 0.975)


@dataclass(frozen=True)
class Comparison:
    """Difference a - b, in points of Dice (0.01 each).

    Attributes:
        points: Mean over seeds of the mean paired difference a - b over cases.
        low: Lower end of the 95 % interval, or ``None`` with too few cases (five are needed) or seeds.
        high: Upper end, or ``None``.
        verdict: ``better`` or ``worse`` where the interval excludes 0, else ``not below`` where its lower end lies
            above -2 points, else ``not distinguishable``; ``no interval`` where there is none.
        cases: Number of distinct test cases.
        seeds: Number of seeds.
        left_out: Pairs that one side lacks or has no value for.
        per_case: Case -> mean difference over seeds, in points.
    """

    points: float
    low: float | None
    high: float | None
    verdict: Significance
    cases: int
    seeds: int
    left_out: int
    per_case: tuple[tuple[str, float], ...]

    @property
    def not_below(self) -> bool:
        """The lower end of the interval lies above -2 points, whatever the verdict."""
        return self.low is not None and self.low > -MARGIN_POINTS

    @property
    def smallest_points(self) -> float | None:
        """The smallest difference that this run could have shown: half the width of the interval."""
        return None if self.low is None or self.high is None else (self.high - self.low) / 2

    def sentence(self, a: str, b: str) -> str:
        """Say the verdict in plain words, naming the two sides ``a`` and ``b``."""
        size = f"{_count(self.cases, 'case')} and {_count(self.seeds, 'seed')}"
        if self.low is None or self.high is None:
            listing = ", ".join(f"{case} {signed(points)}" for case, points in self.per_case)
            return f"{a} − {b}: {signed(self.points)} points; {size}, too few for an interval ({listing})."
        spread = f"{signed(self.points)} points, 95 % interval {signed(self.low)} to {signed(self.high)}, {size}"
        if self.verdict == "not distinguishable":
            return (
                f"{a} and {b} are not distinguishable with {size} ({spread}); the smallest difference this run "
                f"could have shown is about {self.smallest_points:.1f} points."
            )
        words = {"better": "is better than", "worse": "is worse than", "not below": "is not below"}[self.verdict]
        return f"{a} {words} {b} ({spread})."

    def to_json(self) -> Json:
        """Return the comparison as a JSON object."""
        return {
            "points": self.points,
            "low": self.low,
            "high": self.high,
            "verdict": self.verdict,
            "not_below": self.not_below,
            "smallest_points": self.smallest_points,
            "cases": self.cases,
            "seeds": self.seeds,
            "left_out": self.left_out,
            "per_case": dict(self.per_case),
        }


def mean_interval(
    values: Sequence[float], rng: np.random.Generator, groups: Sequence[str] | None = None
) -> Interval | None:
    """Bootstrap the 95 % percentile interval of a mean.

    Args:
        values: One value per case.
        rng: Source of the draws.
        groups: The patient of each case; cases of one patient are drawn together, because they are alike. ``None``
            means that each case is its own patient.

    Returns:
        Lower and upper end, or ``None`` with fewer than five patients.
    """
    names, index = np.unique(np.arange(len(values)) if groups is None else np.asarray(groups), return_inverse=True)
    if len(names) < FEWEST_CASES:
        return None
    totals = np.bincount(index, weights=np.asarray(values, dtype=np.float64))
    counts = np.bincount(index)
    draws = rng.integers(0, len(names), (_RESAMPLES, len(names)))
    return _ends(totals[draws].sum(axis=1) / counts[draws].sum(axis=1))


def compare(a: Pairs, b: Pairs, rng: np.random.Generator) -> Comparison:
    """Compare two versions of a model on the same cases, by bootstrap.

    Seeds are resampled, and cases within seeds. Seeds that share their test cases share the draw of cases too: a hard
    case is hard for every seed.

    Args:
        a: Dice 0..1 by case and seed.
        b: The same of the other side.
        rng: Source of the draws.

    Returns:
        The difference a - b in points.

    Raises:
        DataError: The two sides have no case and seed in common.
    """
    return comparison(a, b, lambda rows: _ends(_resample(rows, rng)))


def comparison(a: Pairs, b: Pairs, interval: Callable[[Rows], Interval | None]) -> Comparison:
    """Compare two sides on the same cases and seeds.

    Args:
        a: Dice 0..1 by case and seed.
        b: The same of the other side.
        interval: Returns the 95 % interval of the mean difference, asked from five cases on.

    Returns:
        The difference a - b in points.

    Raises:
        DataError: The two sides have no case and seed in common.
    """
    rows: dict[int, dict[str, float]] = {}
    for key in sorted(a.keys() & b.keys()):
        left, right = a[key], b[key]
        if left is not None and right is not None:
            rows.setdefault(key[1], {})[key[0]] = 100.0 * (left - right)
    if not rows:
        raise DataError(
            f"There is nothing to compare: {len(a)} and {len(b)} scores share no case and seed.",
            "A comparison is paired by test case and seed.",
            "Score both on the same cases.",
        )
    cases = sorted({case for row in rows.values() for case in row})
    points = float(np.mean([np.mean(list(row.values())) for row in rows.values()]))
    low, high = (interval(rows) if len(cases) >= FEWEST_CASES else None) or (None, None)
    per_case = tuple((case, float(np.mean([row[case] for row in rows.values() if case in row]))) for case in cases)
    left_out = len(a.keys() | b.keys()) - sum(len(row) for row in rows.values())
    return Comparison(
        points=points,
        low=low,
        high=high,
        verdict=_verdict(low, high),
        cases=len(cases),
        seeds=len(rows),
        left_out=left_out,
        per_case=per_case,
    )


def signed(value: float, digits: int = 1) -> str:
    """Write a number with its sign, using the typographic minus."""
    text = f"{value:+.{digits}f}"
    return text[1:] if float(text) == 0 else text.replace("-", "−")


def _resample(rows: Rows, rng: np.random.Generator) -> NDArray[np.float64]:
    means = np.empty((_RESAMPLES, len(rows)))
    draws: dict[tuple[str, ...], NDArray[np.int64]] = {}
    for column, row in enumerate(rows.values()):
        names = tuple(row)
        if names not in draws:
            draws[names] = rng.integers(0, len(names), (_RESAMPLES, len(names)))
        means[:, column] = np.asarray(list(row.values()))[draws[names]].mean(axis=1)
    seeds = rng.integers(0, len(rows), (_RESAMPLES, len(rows)))
    result: NDArray[np.float64] = np.take_along_axis(means, seeds, axis=1).mean(axis=1)
    return result


def _verdict(low: float | None, high: float | None) -> Significance:
    if low is None or high is None:
        return "no interval"
    if low > 0:
        return "better"
    if high < 0:
        return "worse"
    return "not below" if low > -MARGIN_POINTS else "not distinguishable"


def _ends(means: NDArray[np.float64]) -> Interval:
    low, high = np.quantile(means, _QUANTILES)
    return float(low), float(high)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
