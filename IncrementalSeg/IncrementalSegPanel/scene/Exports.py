"""Work that is done piece by piece while Slicer stays free, and the result that it leaves."""

from __future__ import annotations

import errno
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, TypeVar

from IncrementalSegLib.errors import DataError, IncrementalSegError, explain
from IncrementalSegPanel.Protocols import Defer
from IncrementalSegPanel.Translation import _

T = TypeVar("T")

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})

Pieces = Generator[float, None, Path]
"""Yields the fraction that is done after each piece of at most a few hundredths of a second; returns the path."""


def atOnce(pieces: Generator[float, None, T]) -> T:
    """Do all pieces without a pause and return their result."""
    while True:
        try:
            next(pieces)
        except StopIteration as end:
            return end.value


class Export:
    """Files that are being written or read; the first piece is done at once, the others from ``defer``.

    Args:
        pieces: The work. It is closed when the export is cancelled and removes then what it has begun.
        defer: Does the next piece soon.

    Attributes:
        progress: Fraction that is done, 0..1.
        result: What the work left; ``None`` until it is complete.
        error: Why it ended without a result, or ``None``.
        cancelled: Whether it was cancelled.
    """

    def __init__(self, pieces: Generator[float, None, Any], defer: Defer) -> None:
        self.progress = 0.0
        self.result: Any = None
        self.error: IncrementalSegError | None = None
        self.cancelled = False
        self._pieces, self._defer = pieces, defer
        self._listeners: list[Callable[[], None]] = []
        self._next()

    @property
    def path(self) -> Path | None:
        """The written files; ``None`` until they are complete."""
        return self.result

    @property
    def done(self) -> bool:
        """Whether it has ended: with a result, with an error, or because it was cancelled."""
        return self.result is not None or self.error is not None or self.cancelled

    def listen(self, listener: Callable[[], None]) -> None:
        """Call the listener after each piece and at the end; at once where it has ended already."""
        self._listeners.append(listener)
        if self.done:
            listener()

    def cancel(self) -> None:
        """End it and remove what it has begun."""
        if not self.done:
            self._pieces.close()
            self.cancelled = True
            self._tell()

    def fail(self, error: IncrementalSegError) -> None:
        """End it with a reason and remove what it has begun."""
        if not self.done:
            self._pieces.close()
            self.error = error
            self._tell()

    def _next(self) -> None:
        if self.done:
            return
        try:
            self.progress = next(self._pieces)
        except StopIteration as end:
            self.progress, self.result = 1.0, end.value
        except OSError as error:
            self.error = _refusal(error)
        except Exception as error:  # whatever it is, it must reach the person and not Slicer's event loop
            self.error = explain(error)
        else:
            self._defer(self._next)
        self._tell()

    def _tell(self) -> None:
        for listener in list(self._listeners):
            listener()


def _refusal(error: OSError) -> DataError:
    """Return what is wrong with the disk, a right or a file; the work may have been reading or writing."""
    name = error.filename or _("A file")
    if error.errno in _FULL:
        return DataError(_("The disk is full, or a file may not grow that large."), todo=_("Free some space there."))
    if error.errno in _FORBIDDEN:
        return DataError(
            _("{name} may not be read or written.").format(name=name),
            todo=_("Ask for access to its folder, or choose another one."),
        )
    return DataError(
        _("{name} could not be read or written ({reason}).").format(name=name, reason=error.strerror or error),
        todo=_("Check whether it is still there, and the disk."),
    )
