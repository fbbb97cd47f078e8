"""Files that are whole or not there: temporary name in the same folder, fsync, rename.

Standard library only.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from IncrementalSegLib.errors import INTACT, IncrementalSegError, ModelError
from IncrementalSegLib.types import Json

TEMPORARY = ".new-"
"""Beginning of every unfinished name; readers ignore it, the next writer of the same file or model removes it."""

PRIVATE = 0o700
"""Rights of a folder that holds what comes from patients."""

_REASONS = {
    errno.ENOSPC: ("The disk is full.", "Free some space and try again."),
    errno.EDQUOT: ("Your disk quota is used up.", "Free some space and try again."),
    errno.EFBIG: ("A file may not grow that large there.", "Choose another disk, or ask for a higher limit."),
    errno.EIO: ("The disk does not work as it should.", "Copy what is on it to another disk and check it."),
    errno.EROFS: ("The disk is read-only.", "Choose a folder on a disk that can be written."),
    errno.EACCES: ("You have no permission there.", "Choose another folder or ask for access to this one."),
    errno.EPERM: ("You have no permission there.", "Choose another folder or ask for access to this one."),
    errno.ENOTDIR: ("Part of the path is a file, not a folder.", "Check the path."),
    errno.ENOENT: ("It is not there.", "Check the path."),
}


def temporary_sibling(path: Path, ending: str = "") -> Path:
    """Return an unused temporary name beside ``path``; leftovers of killed writers of the same path are removed.

    Args:
        path: What is to be written.
        ending: End of the name.
    """
    start = f"{TEMPORARY}{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:8]}"
    _remove(path.parent.glob(f"{start}{'[0-9a-f]' * 8}*"))
    return path.with_name(f"{start}{secrets.token_hex(4)}{ending}")


def encode_json(data: Json) -> bytes:
    """Encode a JSON object as UTF-8 text that people can read.

    Raises:
        ValueError: It holds NaN or an infinity: undefined values are null.
    """
    return (json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def read_json(path: Path) -> Json:
    """Read a JSON object.

    Raises:
        ModelError: The file is missing, cannot be read, or holds something else.
    """
    with plain_errors(path, "read"):
        text = path.read_bytes()
    return decode_json(text, path)


def decode_json(text: bytes, path: Path) -> Json:
    """Decode the JSON object that was read from ``path``.

    Raises:
        ModelError: It is something else; the message names ``path``.
    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise damaged(path, f"it is not valid JSON: {error}") from error
    if not isinstance(data, dict):
        raise damaged(path, "it does not hold a JSON object")
    return data


@contextmanager
def replacing(
    path: Path, error: type[IncrementalSegError] = ModelError, *, ending: str = "", make: bool = False
) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` to be written, and move it there when it is whole.

    Args:
        path: The file to create or replace; its folder exists, unless ``make``.
        error: Raised where the disk refuses.
        ending: End of the temporary name, for writers that choose a format by it.
        make: Make the folder where it is missing.

    Raises:
        IncrementalSegError: It cannot be written, of the type ``error``; what was there is still there.
    """
    with plain_errors(path, error=error):
        temporary = temporary_sibling(path, ending)
        if make:
            make_folder(path.parent)
        try:
            yield temporary
            _sync(temporary)
            temporary.replace(path)
        finally:
            with suppress(OSError):  # a disk that is read-only refuses even this
                temporary.unlink(missing_ok=True)
    confirm(path)


def write_bytes(path: Path, data: bytes, *, make: bool = False) -> None:
    """Create or replace the file ``path``; a reader sees the old bytes or the new ones, never a part.

    Args:
        path: The file.
        data: Its bytes.
        make: Make its folder where it is missing.

    Raises:
        ModelError: It cannot be written; what was there is still there.
    """
    with replacing(path, make=make) as temporary, _created(temporary) as file:
        file.write(data)


def write_json(path: Path, data: Json) -> None:
    """Create or replace a JSON file; see :func:`write_bytes`."""
    write_bytes(path, encode_json(data))


def write_new(path: Path, data: bytes) -> None:
    """Write a file that does not exist yet and wait until it is on the disk; not atomic by itself."""
    with _created(path) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def make_folder(folder: Path, *, private: bool = False) -> None:
    """Create a folder with all its parents and wait until their names are on the disk; it may be there already.

    Args:
        folder: The folder.
        private: Only its owner may look into it; by default whom the umask lets.
    """
    absent = [item for item in (folder, *folder.absolute().parents) if not item.exists()]
    for item in reversed(absent):
        item.mkdir(PRIVATE if private and item == folder else 0o777, exist_ok=True)
        sync_folder(item.parent)


def make_inner_folder(folder: Path) -> None:
    """Create a folder in one that exists, for the same people."""
    folder.mkdir(folder.parent.stat().st_mode & 0o777)


def sync_folder(folder: Path) -> None:
    """Wait until the names in ``folder`` are on the disk."""
    if os.name == "nt":  # Windows opens no folders and writes names through
        return
    try:
        _sync(folder)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # as some network disks say of folders
            raise


def confirm(path: Path) -> None:
    """Wait until the new name ``path`` is on the disk.

    Raises:
        ModelError: That cannot be known; what was written is there, but may be gone after a power cut.
    """
    with plain_errors(path, "make sure of"):
        sync_folder(path.parent)


def remove_folder(folder: Path) -> None:
    """Remove a folder so that it disappears in one go, for good."""
    away = temporary_sibling(folder)
    folder.rename(away)
    sync_folder(folder.parent)
    shutil.rmtree(away, ignore_errors=True)


def remove_unfinished(*folders: Path) -> None:
    """Remove what a killed writer left in ``folders``; call it only while no other writer can be at work."""
    for folder in folders:
        _remove(folder.glob(f"{TEMPORARY}*"))


def _remove(items: Iterable[Path]) -> None:
    """Remove files and folders; what cannot be removed stays."""
    for item in list(items):
        if item.is_dir() and not item.is_symlink():
            shutil.rmtree(item, ignore_errors=True)
        else:
            with suppress(OSError):
                item.unlink()


def _sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _created(path: Path) -> BinaryIO:
    """Create a file for those who may read its folder, less what the umask takes."""
    mode = path.parent.stat().st_mode & 0o666

    def opener(name: str, flags: int) -> int:
        return os.open(name, flags, mode)

    return open(path, "xb", opener=opener)


@contextmanager
def plain_errors(path: Path, verb: str = "write", error: type[IncrementalSegError] = ModelError) -> Iterator[None]:
    """Turn the operating system's errors into ``error`` with the path, the reason and what to do."""
    try:
        yield
    except OSError as cause:
        why, todo = _REASONS.get(cause.errno or 0, (f"The system says: {cause.strerror or cause}.", ""))
        intact = INTACT if verb == "write" else ""
        raise error(f"Cannot {verb} {path}.", why, " ".join(part for part in (todo, intact) if part)) from cause


def damaged(path: Path, reason: str) -> ModelError:
    """Return the error for a file of a model that is not as it was written."""
    return ModelError(
        f"The file {path} is damaged: {reason}.", todo="Restore it from a backup or use another version of the model."
    )
