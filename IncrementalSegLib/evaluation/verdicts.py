"""The rules of the retention gate, on scores alone.

Each old structure is scored before and after a step on the same scans.  With d, its mean paired drop in points of
Dice, and n, the number of scans that show the structure:

==========  =====================================================================
harmed      d > 3 and, where n >= 5, the 95 % paired interval of d excludes 0
unsure      n < 5 and 1 <= d <= 3; also n >= 5 and d > 3 where the interval includes 0,
            where nothing can be compared, and where it is found in a scan that has none of it
improved    the mirror image of harmed: the gain exceeds 3
kept        all else
guaranteed  nothing is scored: no weight has changed that it depends on
==========  =====================================================================

Few scans (n < 5) are no sample: one patient may decide their mean.  Where they leave a doubt, two witnesses are heard,
the drop on the exemplars and how far both versions agree on other scans:

===================================  ======================================  =======================================
scans                                witnesses                               verdict
===================================  ======================================  =======================================
d > 3; one lost more than 20, or     not heard                               harmed
each of two to four more than 3
d > 3, another                       exemplars <= 6 and they differ by <= 12  unsure; without exemplars: they differ by
                                                                             <= 3; without other scans: exemplars <= 1
d > 3, another                       all else, or none                       harmed
1 <= d <= 3                          exemplars > 6 and they differ by > 12   harmed
1 <= d <= 3                          all else, or none                       unsure
===================================  ======================================  =======================================

Exemplars are training scans of the version before, so they lose about twice what new patients do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from IncrementalSegLib.evaluation.intervals import FEWEST_CASES, Comparison, signed
from IncrementalSegLib.evaluation.limits import Limits

Verdict = Literal["harmed", "unsure", "kept", "improved", "guaranteed"]

HARDLY_LEARNED = 0.1
"""Dice on held-out cases below which a new structure counts as not learned yet; our own choice."""

POORLY_LEARNED = 0.5
"""Dice below which more than two voxels are missed or added for each one found; our own choice."""

AGREES = 12.0
"""Points by which two versions may differ that know a structure equally well; measured, see docs/benchmarks."""

TAUGHT = 2.0
"""Multiple of the limit that exemplars, as training scans, may lose; measured, see docs/benchmarks."""

OUTRIGHT = 20.0
"""Points lost in a single scan that nothing makes up for; our own choice."""

BEYOND_DISPUTE = 50.0
"""Points of disagreement with the version before above which a structure counts as lost; our own choice."""


@dataclass(frozen=True)
class Witnesses:
    """Further evidence beside few scans, in points; ``None`` where there is none.

    Attributes:
        exemplars: Mean drop of Dice on the exemplars of the structure.
        differ: By how much the outlines of both versions differ, 0..100.
        compared: The scans or exemplars that ``differ`` was measured on, as a phrase.
    """

    exemplars: float | None = None
    differ: float | None = None
    compared: str = "other scans"

    def acquit(self, limits: Limits) -> bool:
        """Return whether they say that the structure was kept."""
        if self.exemplars is None:
            return self.differ is not None and not exceeds(self.differ, limits.harm)
        if self.differ is None:
            return not exceeds(self.exemplars, limits.unsure)
        return not exceeds(self.exemplars, TAUGHT * limits.harm) and not exceeds(self.differ, AGREES)

    def accuse(self, limits: Limits) -> bool:
        """Return whether they say that the structure was harmed."""
        return exceeds(self.exemplars, TAUGHT * limits.harm) and exceeds(self.differ, AGREES)

    @property
    def words(self) -> str:
        """The evidence as a phrase; empty where there is none."""
        said = []
        if self.exemplars is not None:
            said.append(f"its exemplars {_moved(self.exemplars)}")
        if self.differ is not None:
            said.append(f"the outlines of both versions agree at Dice {1 - self.differ / 100:.2f} on {self.compared}")
        return " and ".join(said)


def in_doubt(change: Comparison, limits: Limits) -> bool:
    """Return whether few scans leave the verdict on a structure to other evidence."""
    lost = [-points for _, points in change.per_case]
    if change.cases >= FEWEST_CASES or round(-change.points, _DIGITS) < limits.unsure:
        return False
    each = len(lost) > 1 and all(exceeds(drop, limits.harm) for drop in lost)
    return not exceeds(-change.points, limits.harm) or not (each or exceeds(max(lost), OUTRIGHT))


def by_drop(change: Comparison, limits: Limits, witnesses: Witnesses | None = None) -> tuple[Verdict, str]:
    """Return the verdict on a change of Dice, and its reason as a phrase; ``None``: no witnesses were asked."""
    drop, few = -change.points, change.cases < FEWEST_CASES
    said = _moved(drop)
    if change.low is not None and change.high is not None:
        said += f" (95 % interval of the change {signed(change.low)} to {signed(change.high)})"
    else:
        said += f" over {count_of_scans(change.cases)}{_how_many(change, limits)}"
    if in_doubt(change, limits):
        return _by_witnesses(drop, said, limits, witnesses)
    if exceeds(drop, limits.harm):
        if few or change.verdict == "worse":
            return "harmed", said
        return "unsure", f"{said}, and the interval includes 0"
    if exceeds(-drop, limits.harm) and (few or change.verdict == "better"):
        return "improved", said
    return "kept", said


def _by_witnesses(drop: float, said: str, limits: Limits, heard: Witnesses | None) -> tuple[Verdict, str]:
    witnesses = heard or Witnesses()
    gone = "; no exemplars of it are kept as evidence" if heard is not None and heard.exemplars is None else ""
    rest = (f", and {witnesses.words}" if witnesses.words else "") + gone
    if exceeds(drop, limits.harm):
        kept = witnesses.acquit(limits)
        return ("unsure", f"{said}, but {witnesses.words}{gone}") if kept else ("harmed", said + rest)
    if witnesses.accuse(limits):
        return "harmed", said + rest
    return "unsure", f"{said}, too few to be sure{rest}"


def by_agreement(change: Comparison, limits: Limits) -> tuple[Verdict, str]:
    """Return the verdict on how far both versions agree, and its reason as a phrase."""
    differ = -change.points
    said = f"agrees with the version before at Dice {1 - differ / 100:.2f} over {count_of_scans(change.cases)}"
    if not exceeds(differ, limits.harm):
        return "kept", said
    return ("harmed" if exceeds(differ, BEYOND_DISPUTE) else "unsure"), said


def _moved(drop: float) -> str:
    return f"{'lost' if drop > 0 else 'gained'} {abs(drop):.1f} points" if abs(drop) >= 0.05 else "did not change"


_NUMBERS = ("none", "one", "two", "three", "four")


def _how_many(change: Comparison, limits: Limits) -> str:
    """Say how many of two to four scans lost something; empty where none did."""
    lost = [-points for _, points in change.per_case if exceeds(-points, limits.unsure)]
    if change.cases < 2 or not lost:
        return ""
    most = f"{'' if len(lost) == 1 else 'up to '}{max(lost):.1f} points"
    return f": {_NUMBERS[len(lost)]} of {_NUMBERS[change.cases]} scans lost {most}"


_DIGITS = 6
"""Points are compared after rounding, so that 0.80 - 0.77 is 3 points and not more."""


def exceeds(points: float | None, limit: float) -> bool:
    """Return whether a number of points lies above a limit, after rounding."""
    return points is not None and round(points, _DIGITS) > limit


def count_of_scans(count: int, scan: str = "scan") -> str:
    """Return ``1 scan`` or ``N scans``."""
    return f"{count} {scan}{'' if count == 1 else 's'}"
