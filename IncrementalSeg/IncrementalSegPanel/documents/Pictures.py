"""Slices that show a structure before and after, and the place of a slice in its scan."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from IncrementalSegLib.types import Json


@dataclass(frozen=True)
class SlicePlace:
    """A slice of a scan.

    Attributes:
        case: Name of the scan.
        scan: Its file, or ``None`` where it is not known.
        ras: A point of the slice in millimetres, RAS.
    """

    case: str
    scan: Path | None
    ras: tuple[float, float, float]

    @classmethod
    def of(cls, item: Json) -> SlicePlace | None:
        """Read ``case``, ``images`` and ``position`` (LPS) as the library gives them; ``None`` without a position."""
        if item["position"] is None:
            return None
        left, posterior, superior = item["position"]
        return cls(item["case"], Path(item["images"][0]) if item["images"] else None, (-left, -posterior, superior))


@dataclass(frozen=True)
class Picture:
    """One slice before and after a step.

    Attributes:
        structure: Name of the structure that is outlined.
        case: Name of the scan.
        before: PNG with the outline of the version before.
        after: PNG with that of this version.
        diceBefore: Dice of the structure in the whole scan, 0..1; ``None`` where undefined.
        diceAfter: The same after the step.
        place: Where the slice lies, or ``None`` where that is not known.
    """

    structure: str
    case: str
    before: Path
    after: Path
    diceBefore: float | None
    diceAfter: float | None
    place: SlicePlace | None

    @classmethod
    def of(cls, item: Json) -> Picture:
        """Read one picture of the verb ``compare_pictures``."""
        before, after = item["dice"]
        return cls(
            item["structure"],
            item["case"],
            Path(item["before"]),
            Path(item["after"]),
            before,
            after,
            SlicePlace.of(item),
        )
