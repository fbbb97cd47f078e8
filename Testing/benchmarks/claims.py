"""Claims of a paper and their verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from IncrementalSegLib.evaluation.intervals import Comparison, signed
from Testing.benchmarks.seeds import FEWEST_SEEDS

Verdict = Literal["PASS", "NOT SEEN", "TOO FEW SEEDS", "MEASURED"]


@dataclass(frozen=True)
class Claim:
    """A claim, with ``MEASURED`` as verdict where no outcome is expected, and the measured figures."""

    text: str
    verdict: Verdict
    figures: str


def judged(text: str, seen: bool, figures: str, seeds: int) -> Claim:
    """Return a claim with an expected outcome, which too few seeds leave open."""
    return Claim(text, "TOO FEW SEEDS" if seeds < FEWEST_SEEDS else "PASS" if seen else "NOT SEEN", figures)


def spread(shares: Sequence[float]) -> str:
    """Write the mean of shares and each seed's, in per cent."""
    listing = ", ".join(f"{100 * share:.1f}" for share in shares)
    return f"{100 * fmean(shares):.1f} % (seeds: {listing})"


def points(gap: Comparison) -> str:
    """Write a difference with its interval."""
    if gap.low is None or gap.high is None:
        return f"{signed(gap.points)} points"
    return f"{signed(gap.points)} points [{signed(gap.low)}, {signed(gap.high)}]"
