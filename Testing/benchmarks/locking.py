"""Locks for several processes in one folder, and comparison of settings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from filelock import FileLock, Timeout

from IncrementalSegLib.errors import OptionError
from IncrementalSegLib.files import TEMPORARY
from IncrementalSegLib.types import Json


def lock(out: Path, name: str) -> FileLock:
    """Return the lock of that name in the folder of a benchmark."""
    folder = out / ".locks"
    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(folder / f"{name}.lock")


def unless_taken(out: Path, name: str, work: Callable[[], None]) -> None:
    """Do the work of that name, unless another process does it."""
    try:
        with lock(out, name).acquire(timeout=0):
            work()
    except Timeout:  # other locks wait without end
        return


def once(out: Path, folder: Path, make: Callable[[Path], None]) -> None:
    """Make a folder below ``out``, or wait for the process that is making it.

    Args:
        out: Folder of the benchmark.
        folder: The folder.
        make: Fills the folder that it is given, which may hold files of a killed process.
    """
    with lock(out, f"first-{folder.name}"):
        if not folder.is_dir():
            work = folder.with_name(f"{TEMPORARY}{folder.name}")
            work.mkdir(parents=True, exist_ok=True)
            make(work)
            work.rename(folder)


def require_same(found: Json, wanted: Json, place: str) -> None:
    """Refuse a result that was made with other settings.

    Raises:
        OptionError: The settings differ; the message says where.
    """
    names = [name for name in found | wanted if found.get(name) != wanted.get(name)]
    if names:
        had, have = ({name: side.get(name) for name in names} for side in (found, wanted))
        raise OptionError(
            f"{place} was made with other settings ({had}) than this benchmark has ({have}).",
            "Results of different settings must not stand in one table.",
            "Choose another folder for --out.",
        )
