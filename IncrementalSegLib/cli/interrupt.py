"""Ctrl+C that is never lost: a library may swallow the exception, the next progress raises it again."""

from __future__ import annotations

import signal
from types import FrameType


class Interrupt:
    """Handler of SIGINT that remembers being called.

    Attributes:
        asked: Whether Ctrl+C was pressed.
    """

    def __init__(self) -> None:
        self.asked = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Raise ``KeyboardInterrupt`` where the program is."""
        self.asked = True
        raise KeyboardInterrupt

    @staticmethod
    def install() -> None:
        """Handle SIGINT in this process from now on."""
        signal.signal(signal.SIGINT, Interrupt())

    @staticmethod
    def check() -> None:
        """Raise ``KeyboardInterrupt`` if Ctrl+C was pressed and somebody swallowed it."""
        handler = signal.getsignal(signal.SIGINT)
        if isinstance(handler, Interrupt) and handler.asked:
            raise KeyboardInterrupt
