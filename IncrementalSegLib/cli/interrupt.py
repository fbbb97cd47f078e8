"""Ctrl+C that is never lost, and that gives a training the moment to write down where it is."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from IncrementalSegLib.progress import Stop

_WAIT = b"\nWriting down where the training is; Ctrl+C again stops at once.\n"


class Interrupt:
    """Handler of SIGINT and SIGTERM that remembers being called.

    Attributes:
        asked: Whether Ctrl+C was pressed.
        patient: Whether the work may continue to its next progress report, which ends it in good order.
    """

    def __init__(self) -> None:
        self.asked, self.patient = False, False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Raise ``KeyboardInterrupt`` where the program is, or let the next progress end it."""
        first, self.asked = not self.asked, True
        if not (first and self.patient):
            raise KeyboardInterrupt
        with suppress(OSError):  # nobody reads it any more
            os.write(2, _WAIT)  # the program may be in the middle of a print

    @staticmethod
    def install() -> None:
        """Handle the signals in this process from now on."""
        handler = Interrupt()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, handler)

    @staticmethod
    @contextmanager
    def patiently() -> Iterator[None]:
        """Let the first Ctrl+C wait for the next progress."""
        handler = signal.getsignal(signal.SIGINT)
        if not isinstance(handler, Interrupt):
            yield
            return
        handler.patient = True
        try:
            yield
        finally:
            handler.patient = False

    @staticmethod
    def check() -> None:
        """Raise what a Ctrl+C asks for that waited, or that somebody swallowed.

        Raises:
            Stop: Inside :meth:`patiently`: the step is to write a checkpoint.
            KeyboardInterrupt: Elsewhere.
        """
        handler = signal.getsignal(signal.SIGINT)
        if isinstance(handler, Interrupt) and handler.asked:
            raise Stop("pause") if handler.patient else KeyboardInterrupt
