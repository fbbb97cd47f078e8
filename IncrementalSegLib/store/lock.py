"""One writer at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import BaseFileLock, FileLock, SoftFileLock, Timeout

from IncrementalSegLib.errors import ModelError
from IncrementalSegLib.files import make_folder, plain_errors

LOCK = ".lock"


class WriterLock:
    """The right to write into a folder; the operating system frees it when its holder dies.

    Args:
        folder: The folder; it need not exist yet.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock: BaseFileLock = FileLock(folder / LOCK, mode=0o600)

    @property
    def is_held(self) -> bool:
        """Whether this object holds it."""
        return self._lock.is_locked

    @contextmanager
    def hold(self, timeout: float) -> Iterator[None]:
        """Keep all other processes from writing; may be nested.

        A folder that does not exist is created, and goes again if it is still empty at the end.

        Args:
            timeout: Seconds to wait for another writer.

        Raises:
            ModelError: Another process holds the lock, or the folder cannot be written.
        """
        if self.is_held:
            yield
            return
        absent = [item for item in (self.folder, *self.folder.absolute().parents) if not item.exists()]
        try:
            with plain_errors(self.folder):
                make_folder(self.folder, private=True)
                self._acquire(timeout)
            try:
                self._sign(str(os.getpid()))
                yield
            finally:
                self._sign("")
                self._lock.release()
        finally:
            self._remove_if_empty(absent)

    def _acquire(self, timeout: float) -> None:
        try:
            self._lock.acquire(timeout=timeout)
        except Timeout as error:
            raise ModelError(
                f"The model {self.folder} is being written by another process{self._holder()}.",
                todo="Wait until it has finished.",
            ) from error

    def _sign(self, text: str) -> None:
        """Say in the lock file who holds it; only a help for the reader, so that a failure does not matter."""
        if not isinstance(self._lock, SoftFileLock):  # what filelock turns into where a disk knows no locks
            with suppress(OSError):
                (self.folder / LOCK).write_text(text)

    def _holder(self) -> str:
        with suppress(OSError, ValueError):
            return f" (number {int((self.folder / LOCK).read_text())})"
        return ""  # it is about to sign

    def _remove_if_empty(self, absent: list[Path]) -> None:
        if absent and all(item.name == LOCK for item in self.folder.glob("*")):
            with suppress(OSError):
                (self.folder / LOCK).unlink()
        for folder in absent:
            with suppress(OSError):  # rmdir refuses what is not empty
                folder.rmdir()
