"""The retention gate's report as the panel shows it: a sentence, and one row for each older structure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean

from IncrementalSegLib.types import Json
from IncrementalSegPanel.Translation import _
from IncrementalSegPanel.Wording import signed

_WORDS: dict[str, Callable[[], str]] = {
    "harmed": lambda: _("harmed"),
    "unsure": lambda: _("unsure"),
    "kept": lambda: _("kept"),
    "improved": lambda: _("improved"),
    "guaranteed": lambda: _("guaranteed"),
}


@dataclass(frozen=True)
class RetentionRow:
    """The retention of one older structure.

    Attributes:
        structure: Its name.
        fate: ``harmed``, ``unsure``, ``kept``, ``improved`` or ``guaranteed``.
        basis: What judged it: ``scans`` held out, unchanged ``weights``, ``exemplars``, ``agreement`` of both versions,
            or ``nothing``.
        before: Mean Dice of the version before, 0..1; ``None`` where nothing measured it.
        after: Mean Dice of this version on the same scans; of an agreement the Dice of one with the other.
        points: After - before in points of Dice; ``None`` of an agreement and where nothing measured it.
        interval: Its 95 % interval; ``None`` with fewer than five scans.
        worst: The scan that lost most and its change in points; ``None`` where there is none.
        why: The reason of the fate, as a phrase.
        note: Why it is a proxy, or which scans are missing; may be empty.
    """

    structure: str
    fate: str
    basis: str
    before: float | None
    after: float | None
    points: float | None
    interval: tuple[float, float] | None
    worst: tuple[str, float] | None
    why: str
    note: str = ""

    @classmethod
    def of(cls, row: Json) -> RetentionRow:
        """Read a row of the document ``retention``."""
        change, agreed = row["change"], row["basis"] == "agreement"
        pairs = [
            (old["dice"], new["dice"])
            for old, new in zip(row["before"], row["after"], strict=True)
            if old["dice"] is not None and new["dice"] is not None
        ]
        before, after = (fmean(side) for side in zip(*pairs, strict=True)) if pairs else (None, None)
        measured = change is not None and not agreed
        limits = (change["low"], change["high"]) if measured else None
        worst = min(change["per_case"].items(), key=lambda item: item[1]) if measured and change["per_case"] else None
        return cls(
            row["structure"],
            row["verdict"],
            row["basis"],
            None if agreed else before,
            after,
            change["points"] if measured else None,
            None if limits is None or None in limits else limits,
            worst,
            row["why"],
            row["note"],
        )

    @property
    def proxy(self) -> bool:
        """Whether it was judged by a proxy, neither on held-out scans nor by its weights."""
        return self.basis not in ("scans", "weights")

    @property
    def verdict(self) -> str:
        """The fate in words."""
        if self.basis == "nothing":
            return _("not judged")
        word = _WORDS[self.fate]()
        return _("{fate} (proxy)").format(fate=word) if self.proxy else word

    @property
    def reason(self) -> str:
        """Why, in sentences."""
        note = f" ({self.note})" if self.note else ""
        parts = [f"{self.structure}: {self.why}{note}."]
        if self.worst is not None:
            case, points = self.worst
            parts.append(_("Worst scan: {case}, {points} points.").format(case=case, points=signed(points)))
        return " ".join(parts)

    @property
    def dice(self) -> str:
        """Dice before and after."""
        if self.after is None:
            return "–"
        if self.before is None:
            return _("agree {dice:.2f}").format(dice=self.after)
        return f"{self.before:.2f} → {self.after:.2f}"

    @property
    def change(self) -> str:
        """The change in points, and its interval in a second line."""
        if self.points is None:
            return "–"
        if self.interval is None:
            return signed(self.points)
        return _("{points}\n{low} to {high}").format(
            points=signed(self.points), low=signed(self.interval[0]), high=signed(self.interval[1])
        )


@dataclass(frozen=True)
class Retention:
    """The retention of all older structures.

    Attributes:
        sentence: The verdict.
        held: Names of the structures that hold the version back; empty: it may be accepted.
        rows: The structures, most harmed first.
    """

    sentence: str
    held: tuple[str, ...]
    rows: tuple[RetentionRow, ...]

    @classmethod
    def of(cls, document: Json) -> Retention:
        """Read the document ``retention``; an empty one is that of a first version."""
        rows = tuple(RetentionRow.of(row) for row in document.get("structures", ()))
        sentence = (
            document["sentence"] if rows else _("Nothing to keep yet: this is the first thing the model learned.")
        )
        return cls(sentence, tuple(document.get("held_back_by", ())), rows)

    @classmethod
    def ofEdit(cls) -> Retention:
        """Return what there is to say of a version that taught nothing."""
        return cls(_("Nothing was taught: all structures are outlined as in the version before."), (), ())

    @property
    def mark(self) -> str:
        """The verdict in one word: ``nothing``, ``harmed``, ``unsure``, ``proxy`` or ``kept``."""
        if not self.rows:
            return "nothing"
        if self.held:
            return "harmed"
        if any(row.fate == "unsure" for row in self.rows):
            return "unsure"
        return "proxy" if all(row.proxy for row in self.rows) else "kept"

    @property
    def tally(self) -> str:
        """The number of structures kept, improved, harmed, guaranteed."""
        counts = [(word(), sum(row.fate == fate for row in self.rows)) for fate, word in _WORDS.items()]
        return ", ".join(f"{count} {word}" for word, count in counts if count)
