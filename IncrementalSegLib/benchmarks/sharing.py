"""What lets several processes fill one folder: locks by name, and results of other settings are refused."""

from __future__ import annotations

from pathlib import Path

from filelock import FileLock

from IncrementalSegLib.errors import OptionError
from IncrementalSegLib.types import Json


def lock(out: Path, name: str) -> FileLock:
    """Return the lock of one piece of work.

    Args:
        out: Folder of the benchmark.
        name: Name of the work.
    """
    folder = out / ".locks"
    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(folder / f"{name}.lock")


def require_same(found: Json, wanted: Json, place: Path) -> None:
    """Refuse a result that was made with other settings.

    Args:
        found: Settings of the result.
        wanted: Settings of this run.
        place: Where the result lies.

    Raises:
        OptionError: They differ; the message says where.
    """
    names = [name for name in found | wanted if found.get(name) != wanted.get(name)]
    if names:
        had, have = ({name: side.get(name) for name in names} for side in (found, wanted))
        raise OptionError(
            f"{place} was made with other settings ({had}) than this benchmark has ({have}).",
            "Results of different settings must not stand in one table.",
            "Choose another folder for --out.",
        )
