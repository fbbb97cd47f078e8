"""One writer at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from IncrementalSegLib.errors import ModelError
from IncrementalSegLib.store.atomic import plain_errors

LOCK = ".lock"


class WriterLock:
    """The right to write into a folder; the operating system frees it when its holder dies.

    Args:
        folder: The folder; it need not exist yet.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = FileLock(folder / LOCK)

    @contextmanager
    def hold(self, timeout: float) -> Iterator[None]:
        """Keep all other processes from writing; may be nested.

        A folder that does not exist is created, and goes again if it is still empty at the end.

        Args:
            timeout: Seconds to wait for another writer.

        Raises:
            ModelError: Another process holds the lock, or the folder cannot be written.
        """
        absent = [item for item in (self.folder, *self.folder.absolute().parents) if not item.exists()]
        try:
            with plain_errors(self.folder):
                self.folder.mkdir(parents=True, exist_ok=True)
                self._acquire(timeout)
            try:
                yield
            finally:
                self._lock.release()
        finally:
            self._remove_if_empty(absent)

    def _acquire(self, timeout: float) -> None:
        try:
            self._lock.acquire(timeout=timeout)
        except Timeout as error:
            raise ModelError(
                f"The model {self.folder} is being written by another process.", todo="Wait until it has finished."
            ) from error

    def _remove_if_empty(self, absent: list[Path]) -> None:
        if absent and all(item.name == LOCK for item in self.folder.glob("*")):
            with suppress(OSError):
                (self.folder / LOCK).unlink()
        for folder in absent:
            with suppress(OSError):  # rmdir refuses what is not empty
                folder.rmdir()
