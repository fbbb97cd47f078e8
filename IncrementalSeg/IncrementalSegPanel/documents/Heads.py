"""The structures of a model's summary as rows that a person can read and choose from."""

from __future__ import annotations

from dataclasses import dataclass

from IncrementalSegLib.types import Json
from IncrementalSegPanel.Translation import _


@dataclass(frozen=True)
class KnownStructure:
    """One structure that a model can outline.

    Attributes:
        id: Uuid.
        name: As the model calls it.
        meaning: What its terminology says, for example ``"Adrenal gland, Left"``; empty where it has none.
        group: Category of its terminology.
        color: Red, green, blue, each 0..255.
        dice: On held-out scans, 0..1; ``None`` where none were.
        scans: Number of those scans.
        taught: Day on which it was taught, ISO 8601; empty while unknown.
    """

    id: str
    name: str
    meaning: str
    group: str
    color: tuple[int, int, int]
    dice: float | None
    scans: int
    taught: str

    @classmethod
    def of(cls, item: Json) -> KnownStructure:
        """Read one structure of a summary."""
        group, meaning = _meanings(item.get("terminology") or "")
        red, green, blue = item["color"]
        return cls(
            id=item["id"],
            name=item["name"],
            meaning=meaning,
            group=group or _("Other"),
            color=(red, green, blue),
            dice=item.get("dice"),
            scans=item.get("scans") or 0,
            taught=(item.get("taught") or "")[:10],
        )

    def matches(self, text: str) -> bool:
        """Return whether every word of a search is part of the name, the meaning or the group."""
        held = f"{self.name} {self.meaning} {self.group}".casefold()
        return all(word in held for word in text.casefold().split())


def headsOf(summary: Json) -> list[KnownStructure]:
    """Return the structures of a summary in the order in which they were learned."""
    return [KnownStructure.of(item) for item in summary["structures"]]


def grouped(heads: list[KnownStructure]) -> dict[str, list[KnownStructure]]:
    """Return heads by group, in the order in which the groups appear."""
    groups: dict[str, list[KnownStructure]] = {}
    for head in heads:
        groups.setdefault(head.group, []).append(head)
    return groups


def _meanings(entry: str) -> tuple[str, str]:
    """Return category and meaning of a serialised terminology entry: context, category, type, modifier, ..."""
    parts = [part.split("^")[-1] for part in entry.split("~")[1:4]]
    category, kind, modifier = [*parts, "", "", ""][:3]
    return category, ", ".join(part for part in (kind, modifier) if part)
