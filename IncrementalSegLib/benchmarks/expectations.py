"""An expectation of the papers, and whether it was seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from IncrementalSegLib.types import Json

Verdict = Literal["PASS", "NOT SEEN", "MEASURED"]


@dataclass(frozen=True)
class Statement:
    """One expectation and what was measured.

    Attributes:
        scenario: Where.
        claim: What is expected.
        verdict: ``MEASURED`` where no outcome is demanded.
        figures: The numbers.
    """

    scenario: str
    claim: str
    verdict: Verdict
    figures: str

    def to_json(self) -> Json:
        """Return the statement as a JSON object."""
        return {
            "scenario": self.scenario,
            "claim": self.claim,
            "verdict": self.verdict,
            "figures": self.figures,
        }


def verdict(seen: bool) -> Verdict:
    """Say whether what was expected has been seen."""
    return "PASS" if seen else "NOT SEEN"


def spread(shares: Sequence[float]) -> str:
    """Write the mean of shares and each seed's, in per cent."""
    listing = ", ".join(f"{100 * share:.1f}" for share in shares)
    return f"{100 * fmean(shares):.1f} % (seeds: {listing})"
