"""Take data out of versions that exist: the one exception to the rule that a version never changes.

A file never changes in place.  Its successor is written beside it under a name of its own, the manifest is
replaced in one go, and then what the manifest does not name is removed.  A kill in between leaves the version
unchanged or complete, at most with files that nobody reads any more; :func:`left_over` finds them, and
doing the same again finishes the work.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from IncrementalSegLib.files import plain_errors, sync_folder, write_json, write_new
from IncrementalSegLib.store.manifest import MANIFEST, FileEntry, Manifest


def rewrite(folder: Path, changes: Mapping[str, bytes | None]) -> None:
    """Replace or drop files of one version; hold the model's lock.

    Files that versions share are separate names of one file, so the data is gone when all of them are rewritten.

    Args:
        folder: Of the version.
        changes: File name -> its new bytes, or ``None`` to drop it.

    Raises:
        ModelError: It cannot be written; the version is as it was.
    """
    manifest = Manifest.read(folder)
    files = {name: entry for name, entry in manifest.files.items() if name not in changes}
    with plain_errors(folder):
        for name, data in changes.items():
            if data is not None:
                files[name] = _put(folder, name, data, manifest.files.get(name))
        sync_folder(folder)
    if files != manifest.files:
        write_json(folder / MANIFEST, Manifest(files).to_json())
    sweep(folder)


def left_over(folder: Path) -> list[Path]:
    """Return the files in the folder of a version that its manifest does not name."""
    manifest = Manifest.read(folder)
    named = {MANIFEST, *(manifest.path(folder, name).name for name in manifest.files)}
    return sorted(item for item in folder.iterdir() if item.name not in named)


def sweep(folder: Path) -> None:
    """Remove what an interrupted rewriting left in the folder of a version; hold the model's lock.

    Raises:
        ModelError: It cannot be removed.
    """
    with plain_errors(folder, "remove a file in"):
        for item in left_over(folder):
            item.unlink(missing_ok=True)
        sync_folder(folder)


def _put(folder: Path, name: str, data: bytes, old: FileEntry | None) -> FileEntry:
    entry = FileEntry.of(data)
    if old is not None and (old.sha256, old.size) == (entry.sha256, entry.size):
        return old
    stem, _, ending = name.partition(".")
    place = f"{stem}_{entry.sha256[:16]}.{ending}"
    (folder / place).unlink(missing_ok=True)  # what a killed rewriting left
    write_new(folder / place, data)
    return replace(entry, file=place)
