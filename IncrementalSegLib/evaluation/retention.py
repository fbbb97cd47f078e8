"""Was an old structure kept?  The rules of the retention gate, on scores alone.

Each old structure is scored before and after a step on the same scans.  With d, its mean paired drop in points of
Dice, and n, the number of scans in which Dice is defined on both sides:

==========  =====================================================================
harmed      d > 3 and, where n >= 5, the 95 % paired interval of d excludes 0
unsure      n < 5 and 1 <= d <= 3; also n >= 5 and d > 3 where the interval includes 0,
            where nothing can be compared, and where it is found in a scan that has none of it
improved    the mirror image of harmed: the gain exceeds 3
kept        all else
==========  =====================================================================

A version is held back if a structure is harmed, or if the mean drop over the measured structures exceeds 1 point and
its interval excludes 0.  That interval draws structures too, so that one structure alone does not decide it.
Agreement with the version before is no drop: what changed may have become better.  It is *kept* where no more than
3 points differ, *harmed* where more than half of the outline does, else *unsure*.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from statistics import fmean
from typing import Literal, get_args

import numpy as np

from IncrementalSegLib.errors import OptionError
from IncrementalSegLib.evaluation.intervals import FEWEST_CASES, Comparison, Interval, compare, signed
from IncrementalSegLib.evaluation.metrics import CaseScore
from IncrementalSegLib.types import Json, StructureId

Fate = Literal["harmed", "unsure", "kept", "improved"]
Basis = Literal["scans", "exemplars", "agreement", "nothing"]

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


@dataclass(frozen=True)
class StructureRow:
    """What became of one old structure.

    Attributes:
        structure: Its name.
        id: Its uuid.
        basis: ``scans`` set aside; else a proxy: ``exemplars`` that taught it, ``agreement`` of the two versions, or
            ``nothing``.
        before: Scores of the old version, one per scan.
        after: Scores of the new one, on the same scans in the same order.
        change: After - before, paired by scan; ``None`` where no scan has a Dice on both sides.
        verdict: See the top of the file.
        why: The verdict's reason, as a phrase.
        note: Why it is a proxy, or which scans are missing; may be empty.
    """

    structure: str
    id: StructureId
    basis: Basis
    before: tuple[CaseScore, ...]
    after: tuple[CaseScore, ...]
    change: Comparison | None
    verdict: Fate
    why: str
    note: str = ""

    @classmethod
    def of(
        cls,
        structure: str,
        id: StructureId,  # noqa: A002
        before: Sequence[CaseScore],
        after: Sequence[CaseScore],
        limits: Limits,
        rng: np.random.Generator,
        *,
        basis: Basis = "scans",
        note: str = "",
    ) -> StructureRow:
        """Judge a structure; scans are told apart by their case name, and ``rng`` draws the bootstrap."""
        old, new = ({(item.case, 0): item.dice for item in side} for side in (before, after))
        paired = any(dice is not None and old.get(key) is not None for key, dice in new.items())
        change = compare(new, old, rng) if paired else None
        if change is None:
            verdict: Fate = "unsure"
            why = f"Dice is undefined in {_scans(len(new))}" if new else "nothing to judge it by"
        else:
            judge = _by_agreement if basis == "agreement" else _by_drop
            verdict, why = judge(change, limits)
            why += _left_out(before, after)
            if verdict in ("kept", "improved") and _falsely_found(before, after):
                verdict = "unsure"  # Dice cannot say what it costs to find a structure where there is none
        return cls(structure, id, basis, tuple(before), tuple(after), change, verdict, why, note)

    @property
    def kind(self) -> Literal["measured", "proxy"]:
        """Whether scans judged that never taught the model."""
        return "measured" if self.basis == "scans" else "proxy"

    @property
    def drop(self) -> float | None:
        """Mean paired drop in points; below 0 is a gain. ``None`` of an agreement, which is no drop."""
        return None if self.change is None or self.basis == "agreement" else -self.change.points

    @property
    def interval(self) -> Interval | None:
        """95 % interval of the drop; ``None`` with fewer than five scans."""
        if self.drop is None or self.change is None or self.change.low is None or self.change.high is None:
            return None
        return -self.change.high, -self.change.low

    @property
    def assd_change_mm(self) -> float | None:
        """Mean change of ASSD over the scans that have one on both sides; above 0 is worse."""
        pairs = [(old.assd_mm, new.assd_mm) for old, new in zip(self.before, self.after, strict=True)]
        changes = [new - old for old, new in pairs if old is not None and new is not None]
        return fmean(changes) if changes else None

    def to_json(self) -> Json:
        """Return the row as a JSON object; ``drop``, ``interval`` and ``assd_change_mm`` are there for readers."""
        return {
            "structure": self.structure,
            "id": self.id,
            "kind": self.kind,
            "basis": self.basis,
            "verdict": self.verdict,
            "why": self.why,
            "note": self.note,
            "drop": self.drop,
            "interval": None if self.interval is None else list(self.interval),
            "assd_change_mm": self.assd_change_mm,
            "change": None if self.change is None else self.change.to_json(),
            "before": [item.to_json() for item in self.before],
            "after": [item.to_json() for item in self.after],
        }

    @classmethod
    def from_json(cls, data: Json) -> StructureRow:
        """Rebuild a row from :meth:`to_json`."""
        plain = {name: data[name] for name in ("structure", "id", "basis", "verdict", "why", "note")}
        before, after = (tuple(CaseScore(**item) for item in data[side]) for side in ("before", "after"))
        change = None if data["change"] is None else _comparison(data["change"])
        return cls(**plain, before=before, after=after, change=change)


@dataclass(frozen=True)
class RetentionReport:
    """What became of all old structures, and whether the version is held back.

    Attributes:
        rows: The structures, most harmed first.
        mean: Change of the mean over the measured structures, paired by scan; ``None`` where none was measured.
        held_back_by: Names of the structures that hold the version back; empty: it may be accepted.
        limits: The limits.
    """

    rows: tuple[StructureRow, ...] = ()
    mean: Comparison | None = None
    held_back_by: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)

    @classmethod
    def of(cls, rows: Sequence[StructureRow], limits: Limits, rng: np.random.Generator) -> RetentionReport:
        """Decide over all structures; ``rng`` draws the bootstrap of the mean."""
        measured = [row for row in rows if row.kind == "measured" and row.change is not None]
        sides = [
            {(item.case, number): item.dice for number, row in enumerate(measured) for item in getattr(row, side)}
            for side in ("after", "before")
        ]
        mean = compare(sides[0], sides[1], rng) if measured else None
        held = [row.structure for row in rows if row.verdict == "harmed"]
        if not held and mean is not None and mean.verdict == "worse" and _exceeds(-mean.points, limits.mean):
            held = [row.structure for row in measured if _exceeds(row.drop, limits.mean)]
        order = get_args(Fate)
        ranked = sorted(rows, key=lambda row: (order.index(row.verdict), -(row.drop if row.drop is not None else 0.0)))
        named = [row.structure for row in ranked if row.structure in held]
        return cls(tuple(ranked), mean, tuple(named), limits)

    @property
    def sentence(self) -> str:
        """The verdict as one sentence."""
        if not self.rows:
            return "There is no older structure to judge."
        harmed = [f"{row.structure} {row.why}" for row in self.rows if row.verdict == "harmed"]
        if harmed:
            return f"Held back: {_join(harmed)}."
        if self.held_back_by:
            assert self.mean is not None, "nothing is harmed, so the mean holds it back"
            return (
                f"Held back: the measured structures lost {-self.mean.points:.1f} points on average "
                f"(limit {self.limits.mean:g}), most of all {self.held_back_by[0]}."
            )
        unsure = [row.structure for row in self.rows if row.verdict == "unsure"]
        if unsure:
            return f"No older structure is known to be harmed, but {_join(unsure)} cannot be judged surely."
        proxies = sum(row.kind == "proxy" for row in self.rows)
        return f"No older structure was harmed{f' ({proxies} of {len(self.rows)} by proxy)' if proxies else ''}."

    def to_json(self) -> Json:
        """Return the report as a JSON object: the document ``retention`` of a version."""
        return {
            "sentence": self.sentence,
            "held_back_by": list(self.held_back_by),
            "mean_drop": None if self.mean is None else -self.mean.points,
            "mean": None if self.mean is None else self.mean.to_json(),
            "limits": asdict(self.limits),
            "structures": [row.to_json() for row in self.rows],
        }

    @classmethod
    def from_json(cls, data: Json) -> RetentionReport:
        """Rebuild a report from :meth:`to_json`."""
        return cls(
            tuple(StructureRow.from_json(row) for row in data["structures"]),
            None if data["mean"] is None else _comparison(data["mean"]),
            tuple(data["held_back_by"]),
            Limits(**data["limits"]),
        )


def _by_drop(change: Comparison, limits: Limits) -> tuple[Fate, str]:
    drop, few = -change.points, change.cases < FEWEST_CASES
    said = f"{'lost' if drop > 0 else 'gained'} {abs(drop):.1f} points" if abs(drop) >= 0.05 else "did not change"
    if change.low is not None and change.high is not None:
        said += f" (95 % interval of the change {signed(change.low)} to {signed(change.high)})"
    else:
        said += f" over {_scans(change.cases)}"
    if _exceeds(drop, limits.harm):
        if few or change.verdict == "worse":
            return "harmed", said
        return "unsure", f"{said}, and the interval includes 0"
    if few and round(drop, _DIGITS) >= limits.unsure:
        return "unsure", f"{said}, too few to be sure"
    if _exceeds(-drop, limits.harm) and (few or change.verdict == "better"):
        return "improved", said
    return "kept", said


def _by_agreement(change: Comparison, limits: Limits) -> tuple[Fate, str]:
    differ = -change.points
    said = f"agrees with the version before at Dice {1 - differ / 100:.2f} over {_scans(change.cases)}"
    if not _exceeds(differ, limits.harm):
        return "kept", said
    return ("harmed" if _exceeds(differ, BEYOND_DISPUTE) else "unsure"), said


def _left_out(before: Sequence[CaseScore], after: Sequence[CaseScore]) -> str:
    """Say which scans have no Dice to pair: the structure is not in them."""
    absent = sum(old.dice is None or new.dice is None for old, new in zip(before, after, strict=True))
    false = _falsely_found(before, after)
    if not absent:
        return ""
    return f"; not in {_scans(absent)}" + (
        f", of which {false} now {'show' if false > 1 else 'shows'} it" * bool(false)
    )


def _falsely_found(before: Sequence[CaseScore], after: Sequence[CaseScore]) -> int:
    """Count the scans without the structure in which only the new version finds it."""
    return sum(new.falsely_present and old.correctly_absent for old, new in zip(before, after, strict=True))


_DIGITS = 6
"""Points are compared after rounding, so that 0.80 - 0.77 is 3 points and not more."""


def _exceeds(points: float | None, limit: float) -> bool:
    return points is not None and round(points, _DIGITS) > limit


def _scans(count: int) -> str:
    return f"{count} scan{'' if count == 1 else 's'}"


def _join(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _comparison(data: Json) -> Comparison:
    values = {item.name: data[item.name] for item in fields(Comparison)}
    return Comparison(**values | {"per_case": tuple(data["per_case"].items())})
