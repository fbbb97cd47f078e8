"""Folders that the panel writes to."""

from __future__ import annotations

import shutil
import tempfile
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

    def newWork(self, prefix: str) -> Path:
        """Make a temporary folder.

        Raises:
            OSError: It cannot be made.
        """
        self.temporary.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=prefix, dir=self.temporary))

    def newScans(self, model: Path, structure: str) -> Path:
        """Return a folder, not there yet, for the scans that teach a model a structure."""
        wanted = self.models / f"{model.name} scans" / f"{folderName(structure)} {date.today().isoformat()}"
        number, folder = 1, wanted
        while folder.exists():
            number += 1
            folder = wanted.with_name(f"{wanted.name} {number}")
        return folder


def clear(folder: Path, kept: str) -> None:
    """Remove what a folder holds, but for one file or folder in it."""
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.name == kept:
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
