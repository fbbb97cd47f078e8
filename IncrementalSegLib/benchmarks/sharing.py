"""What lets several processes fill one folder: each piece of work is done by one, and other settings are refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from IncrementalSegLib.errors import ModelError, OptionError
from IncrementalSegLib.files import TEMPORARY, damaged, decode_json, plain_errors
from IncrementalSegLib.types import Json


def unless_taken(out: Path, name: str, work: Callable[[], None]) -> None:
    """Do a piece of work, unless another process is at it.

    Args:
        out: Folder of the benchmark.
        name: Name of the work.
        work: Does it.
    """
    try:
        with _lock(out, name).acquire(timeout=0):
            work()
    except Timeout:  # other locks wait without end
        return


def once(out: Path, folder: Path, make: Callable[[Path], None]) -> None:
    """Make a folder, or wait for the process that is making it.

    Args:
        out: Folder of the benchmark.
        folder: The folder, below ``out``.
        make: Fills the folder that it is given; what a killed process left there is still there.
    """
    with _lock(out, f"first-{folder.name}"):
        if not folder.is_dir():
            work = folder.with_name(f"{TEMPORARY}{folder.name}")
            work.mkdir(parents=True, exist_ok=True)
            make(work)
            work.rename(folder)


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


def _lock(out: Path, name: str) -> FileLock:
    folder = out / ".locks"
    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(folder / f"{name}.lock")
