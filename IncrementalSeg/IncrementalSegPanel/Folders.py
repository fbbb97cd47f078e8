"""Folders that the panel writes to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from IncrementalSegPanel.Names import folderName


@dataclass(frozen=True)
class Folders:
    """Where models, their scans and temporary files are kept.

    Attributes:
        models: Where new models, and the scans that taught them, are kept.
        temporary: For files of this run of Slicer; emptied when it ends.
    """

    models: Path
    temporary: Path

    def newScans(self, model: Path, structure: str) -> Path:
        """Return a folder, not there yet, for the scans that teach a model a structure."""
        wanted = self.models / f"{model.name} scans" / f"{folderName(structure)} {date.today().isoformat()}"
        number, folder = 1, wanted
        while folder.exists():
            number += 1
            folder = wanted.with_name(f"{wanted.name} {number}")
        return folder
