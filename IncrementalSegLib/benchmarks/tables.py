"""Tables of the benchmarks in Markdown, and how numbers are written in them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from IncrementalSegLib.evaluation.intervals import Comparison, signed


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return [f"| {' | '.join(line)} |" for line in lines]


def listed(values: Iterable[str]) -> str:
    """Return the different values, sorted, with commas."""
    return ", ".join(sorted(set(values)))


def points(gap: Comparison) -> str:
    """Write a difference with its interval."""
    if gap.low is None or gap.high is None:
        return f"{signed(gap.points)} points"
    return f"{signed(gap.points)} points [{signed(gap.low)}, {signed(gap.high)}]"
