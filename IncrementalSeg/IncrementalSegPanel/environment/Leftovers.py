"""Leftovers of an interrupted installation, which would make the next one believe that a package is installed."""

from __future__ import annotations

import shutil
import sysconfig
from collections.abc import Container
from pathlib import Path

from packaging.utils import canonicalize_name


def discard(names: Container[str], folder: Path | None = None) -> list[str]:
    """Remove the metadata of packages that pip has not finished; their files are replaced by the next installation.

    pip notes last of all who has installed a package.

    Args:
        names: Canonical names of the packages in question; all others are left alone.
        folder: Where packages are installed; by default Slicer's own folder.

    Returns:
        The packages that were unfinished.
    """
    place = folder or Path(sysconfig.get_paths()["purelib"])
    found = []
    for entry in sorted(place.glob("*.dist-info")):
        name = canonicalize_name(entry.stem.rpartition("-")[0])
        if name in names and not (entry / "INSTALLER").exists():
            shutil.rmtree(entry, ignore_errors=True)
            found.append(name)
    return found
