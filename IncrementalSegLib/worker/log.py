"""The log of the worker: warnings become events, the last lines are kept for a report of a fault."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable

from IncrementalSegLib.names import visible

KEPT = 50
"""Lines that a report holds."""


def shown(record: logging.LogRecord) -> bool:
    """Write out what a record holds that would steer the terminal that shows it; a filter that lets all through."""
    record.msg, record.args = visible(record.getMessage(), lines=True), ()
    return True


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
