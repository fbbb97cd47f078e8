"""Standard input and output as the wire, out of reach of what a library prints or reads."""

from __future__ import annotations

import os
import sys
import threading
from typing import BinaryIO

from IncrementalSegLib.jobs import events


class Channel:
    """The wire of this process.

    From now on descriptor 0 is empty and descriptor 1 leads to standard error, for Python, for C and for
    child processes alike.

    Attributes:
        requests: Lines of the front end.
    """

    def __init__(self) -> None:
        sys.stdout.flush()
        self.requests: BinaryIO = os.fdopen(os.dup(0), "rb")
        self._out = os.fdopen(os.dup(1), "wb", buffering=0)
        self._lock = threading.Lock()
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        os.dup2(2, 1)

    def send(self, event: events.Event) -> None:
        """Send an event; any thread may.  One that nobody reads any more is dropped."""
        data = f"{events.encode(event)}\n".encode("ascii")
        with self._lock:
            try:
                while data:
                    data = data[self._out.write(data) or 0 :]
            except OSError:  # the front end is gone; the end of its requests says so too
                return
