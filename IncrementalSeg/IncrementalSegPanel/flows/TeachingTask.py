"""A teaching task: a structure, and the scans that show it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from IncrementalSegLib.types import Json

Color = tuple[int, int, int]
"""Red, green, blue, each 0..255."""


@dataclass(frozen=True)
class TeachingTask:
    """A structure and the scans that show it.

    Attributes:
        name: Of the structure in the model.
        improve: The model knows it, and it is to be improved.
        terminology: Slicer's serialised terminology entry, or ``None``.
        color: Its colour.
        label: What it is called in the data set.
        data: The data set; ``None`` until the examples of the scene have been written.
        cases: Ids of the cases that teach; empty: all.
    """

    name: str
    improve: bool
    terminology: str | None
    color: Color
    label: str
    data: Path | None = None
    cases: tuple[str, ...] = ()

    def arguments(self, model: Path, folder: Path) -> Json:
        """Return what ``learn``, ``estimate`` and ``advise`` have in common.

        Args:
            model: The model's folder.
            folder: Where a list of cases may be written; an id may hold a comma.

        Raises:
            OSError: The list cannot be written.
        """
        wanted: Json = {"name": self.name, "label": self.label}
        if not self.improve:
            wanted |= {"terminology": self.terminology, "color": list(self.color)}
        found: Json = {"model": str(model), "data": str(self.data), "structures": [wanted]}
        if self.improve:
            found["improve"] = True
        if self.cases:
            listing = folder / "cases.txt"
            folder.mkdir(parents=True, exist_ok=True)
            listing.write_text("\n".join(self.cases) + "\n", encoding="utf-8")
            found["cases"] = str(listing)
        return found
