"""What lets several processes fill one folder: locks by name, and results of other settings are refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock

from IncrementalSegLib.errors import ModelError, OptionError
from IncrementalSegLib.store.atomic import damaged, decode_json, plain_errors
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


def read_shared(file: Path, keys: Sequence[str], place: Path) -> Json:
    """Read what a process left in the folder of a benchmark.

    Args:
        file: A JSON file.
        keys: What it must hold at least.
        place: What can be deleted where the file is damaged: the next run makes it again.

    Raises:
        ModelError: It is missing, cannot be read, or is damaged.
    """
    with plain_errors(file, "read"):
        text = file.read_bytes()
    try:
        found = decode_json(text, file)
        absent = [key for key in keys if key not in found]
        if absent:
            raise damaged(file, f"it holds no {absent[0]!r}")
    except ModelError as error:
        raise ModelError(error.what, todo=f"Delete {place}, and the next run makes it again.") from error
    return found


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
