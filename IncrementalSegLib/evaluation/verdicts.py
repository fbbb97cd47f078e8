"""The rules of the retention gate, on scores alone.

Each old structure is scored before and after a step on the same scans.  With d, its mean paired drop in points of
Dice, and n, the number of scans that show the structure:

==========  =====================================================================
harmed      d > 3 and, where n >= 5, the 95 % paired interval of d excludes 0
unsure      n < 5 and 1 <= d <= 3; also n >= 5 and d > 3 where the interval includes 0,
            where nothing can be compared, and where it is found in a scan that has none of it
improved    the mirror image of harmed: the gain exceeds 3
kept        all else
==========  =====================================================================

Agreement with the version before is no drop: what changed may have become better.  It is *kept* where no more than
3 points differ, *harmed* where more than half of the outline does, else *unsure*.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Literal

from IncrementalSegLib.errors import OptionError
from IncrementalSegLib.evaluation.intervals import FEWEST_CASES, Comparison, signed

Fate = Literal["harmed", "unsure", "kept", "improved"]

HARDLY_LEARNED = 0.1
"""Dice on cases set aside below which a new structure counts as not learned yet; our own choice."""

BEYOND_DISPUTE = 50.0
"""Points of disagreement with the version before above which a structure counts as lost; our own choice."""


@dataclass(frozen=True)
class Limits:
    """What may be lost, in points of Dice, 0..100.

    Attributes:
        harm: Mean drop of one structure above which it is harmed.
        unsure: Mean drop from which fewer than five scans leave it open.
        mean: Mean drop over all measured structures above which a version is held back.

    Raises:
        OptionError: A limit is no number in 0..100, or ``unsure`` lies above ``harm``.
    """

    harm: float = 3.0
    unsure: float = 1.0
    mean: float = 1.0

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not (math.isfinite(value) and 0 <= value <= 100):
                raise OptionError(f"The limit {name} is {value} points.", todo="Give a number from 0 to 100.")
        if self.unsure > self.harm:
            raise OptionError(
                f"The limit unsure ({self.unsure:g} points) lies above the limit harm ({self.harm:g}).",
                todo="Give it at most the limit harm.",
            )


def by_drop(change: Comparison, limits: Limits) -> tuple[Fate, str]:
    """Return the verdict on a change of Dice, and its reason as a phrase."""
    drop, few = -change.points, change.cases < FEWEST_CASES
    said = f"{'lost' if drop > 0 else 'gained'} {abs(drop):.1f} points" if abs(drop) >= 0.05 else "did not change"
    if change.low is not None and change.high is not None:
        said += f" (95 % interval of the change {signed(change.low)} to {signed(change.high)})"
    else:
        said += f" over {count_of_scans(change.cases)}"
    if exceeds(drop, limits.harm):
        if few or change.verdict == "worse":
            return "harmed", said
        return "unsure", f"{said}, and the interval includes 0"
    if few and round(drop, _DIGITS) >= limits.unsure:
        return "unsure", f"{said}, too few to be sure"
    if exceeds(-drop, limits.harm) and (few or change.verdict == "better"):
        return "improved", said
    return "kept", said


def by_agreement(change: Comparison, limits: Limits) -> tuple[Fate, str]:
    """Return the verdict on how far both versions agree, and its reason as a phrase."""
    differ = -change.points
    said = f"agrees with the version before at Dice {1 - differ / 100:.2f} over {count_of_scans(change.cases)}"
    if not exceeds(differ, limits.harm):
        return "kept", said
    return ("harmed" if exceeds(differ, BEYOND_DISPUTE) else "unsure"), said


_DIGITS = 6
"""Points are compared after rounding, so that 0.80 - 0.77 is 3 points and not more."""


def exceeds(points: float | None, limit: float) -> bool:
    """Return whether a number of points lies above a limit, after rounding."""
    return points is not None and round(points, _DIGITS) > limit


def count_of_scans(count: int) -> str:
    """Return ``1 scan`` or ``N scans``."""
    return f"{count} scan{'' if count == 1 else 's'}"
