"""The log of the worker: warnings become events, the last lines are kept for a report of a fault."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable

from IncrementalSegLib.names import visible

KEPT = 50
"""Lines that a report holds."""


class VisibleFormatter(logging.Formatter):
    """Write out what a message or traceback holds that would steer the terminal that shows it.

    The record itself stays as it is: other handlers read it too.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the text of one record."""
        return visible(super().format(record), lines=True)


class Log(logging.Handler):
    """Receive what is logged.

    Args:
        warn: Receives what the library warns of.
    """

    def __init__(self, warn: Callable[[str], None]) -> None:
        super().__init__()
        self._warn = warn
        self._lines: deque[str] = deque(maxlen=KEPT)

    def emit(self, record: logging.LogRecord) -> None:
        """Take note of one record."""
        text = record.getMessage()
        self._lines.append(f"{record.levelname} {record.name}: {text}")
        if record.levelno >= logging.WARNING and record.name.startswith("IncrementalSegLib"):
            self._warn(text)

    def tail(self) -> str:
        """Return the last lines."""
        return "\n".join(self._lines)
