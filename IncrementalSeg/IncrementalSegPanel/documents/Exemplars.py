"""The exemplars of a model as the board shows them, and what a model holds of patients in sentences."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from IncrementalSegLib.types import Json
from IncrementalSegPanel.documents.Pictures import SlicePlace
from IncrementalSegPanel.Translation import _
from IncrementalSegPanel.Wording import size


@dataclass(frozen=True)
class ListedExemplar:
    """One piece of a scan that a model keeps.

    Attributes:
        id: Of the exemplar.
        case: Name of the scan.
        structures: Names of the structures that it shows.
        ranks: Its places: structure, order, rank from 1.
        reason: Why it was chosen; may be empty.
        mark: ``pinned``, ``banned`` or empty.
        place: Where it lies, or ``None`` where that is not known.
    """

    id: str
    case: str
    structures: tuple[str, ...]
    ranks: tuple[tuple[str, str, int], ...]
    reason: str
    mark: str
    place: SlicePlace | None

    @classmethod
    def of(cls, item: Json) -> ListedExemplar:
        """Read an exemplar as the verb ``exemplars`` gives it."""
        ranks = tuple((entry["structure"], entry["order"], entry["rank"]) for entry in item["kept_for"])
        structures, place = tuple(item["structures"]), SlicePlace.of(item)
        return cls(item["id"], item["case"], structures, ranks, _reason(item), item["mark"], place)

    def best(self, structure: str = "") -> tuple[int, int]:
        """Return its best order, as a place in :data:`ORDERS`, and its rank there.

        Args:
            structure: Only ranks among the exemplars of that structure; by default of any.
        """
        known = [(ORDERS.index(order), rank) for name, order, rank in self.ranks if structure in ("", name)]
        return min(known, default=(len(ORDERS), 0))

    def standing(self, structure: str = "") -> str:
        """Return mark or best rank in words."""
        if self.mark:
            return {"pinned": _("pinned"), "banned": _("banned")}[self.mark]
        order, rank = self.best(structure)
        words = (_("coverage {rank}"), _("content {rank}"), _("at random"), "")
        return words[order].format(rank=rank)


@dataclass(frozen=True)
class CoverageCurves:
    """Share of the slices or crops of a structure that its exemplars cover.

    Attributes:
        structure: Its name.
        curve: Share, 0..1, that the first, the first two, ... cover, as they were chosen.
        kept: How many of them are kept.
    """

    structure: str
    curve: tuple[float, ...]
    kept: int

    @classmethod
    def listOf(cls, overview: Json) -> list[CoverageCurves]:
        """Read the verb ``exemplars``; a structure whose exemplars were not chosen to cover anything is left out."""
        found = []
        for structure, summary in overview["coverage"].items():
            order = next((name for name in ORDERS[:2] if summary["orders"].get(name)), None)
            if order is not None:
                kept = sum(
                    (entry["structure"], entry["order"]) == (structure, order)
                    for item in overview["exemplars"]
                    if item["mark"] != "banned"
                    for entry in item["kept_for"]
                )
                found.append(cls(structure, tuple(summary["orders"][order]), kept))
        return [item for item in found if item.kept]

    @property
    def sentence(self) -> str:
        """Say where adding exemplars stops to help."""
        share = self.curve[min(self.kept, len(self.curve)) - 1]
        enough = next(count for count, value in enumerate(self.curve, 1) if value >= _ENOUGH * self.curve[-1])
        text = _("{structure}: {kept} exemplars cover {share:.0f} % of its training scans")
        said = text.format(structure=self.structure, kept=self.kept, share=100 * share)
        if enough >= self.kept:
            return said + _("; each one counts.")
        few = _("; 1 covers almost as much.") if enough == 1 else _("; {enough} cover almost as much.")
        return said + few.format(enough=enough)


ORDERS = ("abstraction", "content", "random")
"""Orders of exemplars: coverage in the network's features, coverage in content, and random."""

_ENOUGH = 0.95
"""Of what all exemplars cover: a person sees little difference above."""


_PHRASES: tuple[tuple[str, Callable[[], str]], ...] = (
    (r"certainty rank (\d+) of (\d+)", lambda: _("certainty rank {0} of {1}")),
    (r"adds ([\d.]+) % coverage of content \((.+?)\)", lambda: _("adds {0} % coverage of content ({1})")),
    (r"adds ([\d.]+) % coverage", lambda: _("adds {0} % coverage")),
)
"""Part of a model's reason -> its words for a person."""


def ordersSentence() -> str:
    """Say why more pieces are kept than a curve counts, and what a limit counts."""
    return _(
        "Pieces are chosen in up to three orders (coverage, content, at random), each with its own number for each "
        "structure, and one piece may stand in several: the curve counts one order, “Keep at most” all pieces together."
    )


def ledgerSentences(ledger: Json) -> list[str]:
    """Say what a model holds of patients, from the verb ``privacy``."""
    current = next((item for item in ledger["versions"] if item["status"] == "current"), ledger["versions"][-1])
    older = [item for item in ledger["versions"] if item is not current and item["exemplars"]["count"]]
    pieces, copies = current["exemplars"], current["copied_scans"]
    said = [
        _("Version {number} holds {count} pieces of {scans} scans ({size}).").format(
            number=current["version"], count=pieces["count"], scans=len(pieces["cases"]), size=size(pieces["bytes"])
        )
        if pieces["count"]
        else _("Version {number} holds no pieces of scans.").format(number=current["version"])
    ]
    if older:
        said.append(
            _("Other versions hold some too: {numbers}.").format(
                numbers=", ".join(str(item["version"]) for item in older)
            )
        )
    if copies["count"]:
        said.append(
            _("It keeps copies of {count} whole scans for judging ({size}).").format(
                count=copies["count"], size=size(copies["bytes"])
            )
        )
    personal = list(dict.fromkeys(item["structure"] for item in current["prototypes"] if item["few_patients"]))
    if current["prototypes"]:
        said.append(_("It keeps averages of what the network sees in the scans, from which no image can be made."))
    if personal:
        said.append(
            _("The averages of {names} come from so few patients that they say much about each.").format(
                names=", ".join(personal)
            )
        )
    if current["cases"]:
        said.append(
            _("It knows {scans} scans by name, and where {files} files lie; a package leaves both out.").format(
                scans=len(current["cases"]), files=len(current["paths"])
            )
        )
    return said


def _reason(item: Json) -> str:
    """Return why an exemplar was chosen, for each structure by itself where it was chosen for several."""
    names = dict(zip(item.get("present", ()), item["structures"], strict=False))
    named = {names[key]: _plain(reason) for key, reason in item.get("reasons", {}).items() if key in names}
    if len(set(named.values())) < 2:
        return _plain(item["reason"])
    return "; ".join(f"{name}: {reason}" for name, reason in named.items())


def _plain(reason: str) -> str:
    """Return a reason, as a model holds it, in a person's words."""
    for pattern, words in _PHRASES:

        def say(found: re.Match[str], words: Callable[[], str] = words) -> str:
            return words().format(*found.groups())

        reason = re.sub(pattern, say, reason)
    return reason
