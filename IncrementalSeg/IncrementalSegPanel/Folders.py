"""Folders that the panel writes to."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from IncrementalSegPanel.Names import folderName
from IncrementalSegPanel.Protocols import Defer


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


def clear(folder: Path, defer: Defer, kept: str = "") -> None:
    """Remove a folder file by file while Slicer stays free: a large one takes its time; what cannot be removed stays.

    Args:
        folder: The folder; it may be gone already.
        defer: Removes the next file soon.
        kept: Name of a file or folder in it that stays; then the folder stays, too.
    """
    left = [path for path in sorted(folder.rglob("*")) if not kept or path.relative_to(folder).parts[0] != kept]
    if not kept:
        left.insert(0, folder)

    def removeNext() -> None:
        if left:
            path = left.pop()
            with suppress(OSError):
                path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
            defer(removeNext)

    defer(removeNext)
