"""Was every old structure kept?  One row per structure, and whether the version is held back.

:mod:`~IncrementalSegLib.evaluation.verdicts` has the rules for one structure.  A version is held back if a structure is
harmed, or if the mean drop over the measured structures exceeds 1 point and its interval excludes 0.  That interval
draws structures too, so that one structure alone does not decide it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, fields
from statistics import fmean
from typing import Literal, get_args

import numpy as np

from IncrementalSegLib.evaluation.intervals import Comparison, Interval, compare
from IncrementalSegLib.evaluation.limits import Limits
from IncrementalSegLib.evaluation.metrics import CaseScore
from IncrementalSegLib.evaluation.verdicts import (
    HARDLY_LEARNED,
    Verdict,
    Witnesses,
    by_agreement,
    by_drop,
    count_of_scans,
    exceeds,
    in_doubt,
)
from IncrementalSegLib.types import Json, StructureId

EvidenceKind = Literal["scans", "exemplars", "agreement", "nothing", "weights"]

Pair = tuple[CaseScore, CaseScore]
"""Scores of the version before and of the new one in the same scan."""


@dataclass(frozen=True)
class StructureRow:
    """Scores and verdict of one older structure.

    Attributes:
        structure: Its name.
        id: Its uuid.
        basis: ``scans`` held out; ``weights`` that have not changed; else a proxy: its ``exemplars``, ``agreement`` of
            the two versions, or ``nothing``.
        before: Scores of the old version, one per scan.
        after: Scores of the new one, on the same scans in the same order.
        change: After - before, paired by scan; ``None`` where no scan shows the structure.
        verdict: By the rules of :mod:`~IncrementalSegLib.evaluation.verdicts`.
        why: The verdict's reason, as a phrase.
        note: Why it is a proxy, or which scans are missing; may be empty.
        witnesses: What few scans were checked against.
    """

    structure: str
    id: StructureId
    basis: EvidenceKind
    before: tuple[CaseScore, ...]
    after: tuple[CaseScore, ...]
    change: Comparison | None
    verdict: Verdict
    why: str
    note: str = ""
    witnesses: Witnesses = field(default_factory=Witnesses)

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
        basis: EvidenceKind = "scans",
        note: str = "",
        absent: Sequence[Pair] = (),
        witnesses: Callable[[], Witnesses] = Witnesses,
    ) -> StructureRow:
        """Judge a structure.

        Args:
            structure: Its name.
            id: Its uuid.
            before: Scores of the old version; scans are told apart by their case name.
            after: Scores of the new one, on the same scans in the same order.
            limits: Limits on the loss.
            rng: Draws the bootstrap.
            basis: What was scored.
            note: Why it is a proxy, or which scans are missing.
            absent: Scans without the structure, where a proxy judges because there are no others.
            witnesses: Called where few scans leave a doubt.
        """
        pairs = list(zip(before, after, strict=True))
        change, heard = None, None
        if any(comparable(*pair) for pair in pairs):
            old, new = ({(pair[side].case, 0): _dice(pair, side) for pair in pairs} for side in (0, 1))
            change = compare(new, old, rng)
        if change is None:
            verdict: Verdict = "unsure"
            why = f"has no Dice in {count_of_scans(len(pairs))}" if pairs else "was not judged, for lack of scans"
        else:
            if basis == "scans" and in_doubt(change, limits):
                heard = witnesses()
            verdict, why = by_agreement(change, limits) if basis == "agreement" else by_drop(change, limits, heard)
            if basis != "agreement" and verdict != "harmed" and (dice := _unlearned(pairs)) is not None:
                why = f"was never learned (Dice {dice[0]:.2f} before and {dice[1]:.2f} after): {why}"
            without = [pair for pair in pairs if not comparable(*pair)]
            why += f"; {not_in(without)}" if without else ""
            if verdict in ("kept", "improved") and _falsely_found((*without, *absent)):
                verdict = "unsure"  # Dice cannot say what it costs to find a structure where there is none
        return cls(
            structure=structure,
            id=id,
            basis=basis,
            before=tuple(before),
            after=tuple(after),
            change=change,
            verdict=verdict,
            why=why,
            note=note,
            witnesses=heard or Witnesses(),
        )

    @classmethod
    def guaranteed(cls, structure: str, id: StructureId, fingerprint: str) -> StructureRow:  # noqa: A002
        """Judge a structure whose weights have not changed.

        Args:
            structure: Its name.
            id: Its uuid.
            fingerprint: SHA-256 of every weight that its prediction depends on, the same in both versions.
        """
        why = f"is guaranteed, because no weight has changed that it depends on (sha256 {fingerprint[:12]})"
        return cls(
            structure=structure,
            id=id,
            basis="weights",
            before=(),
            after=(),
            change=None,
            verdict="guaranteed",
            why=why,
        )

    @property
    def kind(self) -> Literal["measured", "guaranteed", "proxy"]:
        """``measured`` on held-out scans, ``guaranteed`` by unchanged weights, or judged by a ``proxy``."""
        return {"scans": "measured", "weights": "guaranteed"}.get(self.basis, "proxy")  # type: ignore[return-value]

    @property
    def unlearned(self) -> bool:
        """Whether neither version knows the structure, so that there was nothing to keep."""
        known = self.change is not None and self.basis != "agreement" and self.verdict != "harmed"
        return known and _unlearned(list(zip(self.before, self.after, strict=True))) is not None

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
            "witnesses": asdict(self.witnesses),
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
        witnesses = Witnesses(**data.get("witnesses", {}))
        return cls(**plain, before=before, after=after, change=change, witnesses=witnesses)


@dataclass(frozen=True)
class RetentionReport:
    """Scores and verdicts of all older structures, and whether the version is held back.

    Attributes:
        rows: The structures, most harmed first.
        mean: Change of the mean over the measured structures, paired by scan; ``None`` where none was measured.
        held_back_by: Names of the structures that hold the version back; empty: it may be accepted.
        limits: The limits.
        used: The version is in use, whatever the verdict.
    """

    rows: tuple[StructureRow, ...] = ()
    mean: Comparison | None = None
    held_back_by: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)
    used: bool = False

    @classmethod
    def of(cls, rows: Sequence[StructureRow], limits: Limits, rng: np.random.Generator) -> RetentionReport:
        """Decide over all structures; ``rng`` draws the bootstrap of the mean."""
        measured = [row for row in rows if row.kind == "measured" and row.change is not None]
        sides = [
            {
                (pair[side].case, number): _dice(pair, side)
                for number, row in enumerate(measured)
                for pair in zip(row.before, row.after, strict=True)
            }
            for side in (1, 0)
        ]
        mean = compare(sides[0], sides[1], rng) if measured else None
        held = [row.structure for row in rows if row.verdict == "harmed"]
        if not held and mean is not None and mean.verdict == "worse" and exceeds(-mean.points, limits.mean):
            held = [row.structure for row in measured if exceeds(row.drop, limits.mean)]
        order = get_args(Verdict)
        ranked = sorted(rows, key=lambda row: (order.index(row.verdict), -(row.drop if row.drop is not None else 0.0)))
        named = [row.structure for row in ranked if row.structure in held]
        return cls(tuple(ranked), mean, tuple(named), limits)

    @property
    def guaranteed(self) -> bool:
        """Whether nothing was scored, because every structure is guaranteed."""
        return bool(self.rows) and all(row.kind == "guaranteed" for row in self.rows)

    @property
    def sentence(self) -> str:
        """The verdict as one sentence."""
        if not self.rows:
            return "There is no older structure to judge."
        held = "Would be held back" if self.used else "Held back"
        harmed = [f"{row.structure} {row.why}" for row in self.rows if row.verdict == "harmed"]
        if harmed:
            return f"{held}: {_join(harmed)}."
        if self.held_back_by:
            assert self.mean is not None, "nothing is harmed, so the mean holds it back"
            return (
                f"{held}: the measured structures lost {-self.mean.points:.1f} points on average "
                f"(limit {self.limits.mean:g}), most of all {self.held_back_by[0]}."
            )
        unsure = [f"{row.structure} {row.why}" for row in self.rows if row.verdict == "unsure"]
        if unsure:
            return f"Not held back, but undecided: {'; '.join(unsure)}."
        if self.guaranteed:
            names = _join([row.structure for row in self.rows])
            return f"Guaranteed: no weight has changed that {names} depend{'s' * (len(self.rows) == 1)} on."
        kinds = [row.kind for row in self.rows]
        counts = [(kinds.count("guaranteed"), "guaranteed"), (kinds.count("proxy"), "by proxy")]
        said = ", ".join(f"{count} of {len(kinds)} {word}" for count, word in counts if count)
        return f"No older structure was harmed{f' ({said})' if said else ''}."

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


def comparable(before: CaseScore, after: CaseScore) -> bool:
    """Return whether a scan can tell what was kept: it shows the structure.

    A Dice of 0 on both sides where the structure is absent says nothing of what the versions know.
    """
    return before.voxels_truth > 0 and before.dice is not None and after.dice is not None


def not_in(pairs: Sequence[Pair]) -> str:
    """Say how many scans have none of the structure, and in how many of them the new version finds it."""
    false = _falsely_found(pairs)
    found = f", of which {false} now {'show' if false > 1 else 'shows'} it" if false else ""
    return f"not in {count_of_scans(len(pairs))}{found}"


def _falsely_found(pairs: Sequence[Pair]) -> int:
    """Count the scans without the structure in which only the new version finds it."""
    return sum(new.falsely_present and old.correctly_absent for old, new in pairs)


def _unlearned(pairs: Sequence[Pair]) -> tuple[float, float] | None:
    """Return the mean Dice of both versions where neither knows the structure."""
    known = [pair for pair in pairs if comparable(*pair)]
    old, new = (fmean(pair[side].dice or 0.0 for pair in known) for side in (0, 1))
    return (old, new) if max(old, new) < HARDLY_LEARNED else None


def _dice(pair: Pair, side: int) -> float | None:
    return pair[side].dice if comparable(*pair) else None


def _join(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _comparison(data: Json) -> Comparison:
    values = {item.name: data[item.name] for item in fields(Comparison)}
    return Comparison(**values | {"per_case": tuple(data["per_case"].items())})
