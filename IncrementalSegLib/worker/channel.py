"""Standard input and output as the wire, out of reach of what a library prints or reads."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from typing import BinaryIO

from IncrementalSegLib.wire import events
from IncrementalSegLib.wire.lines import LONGEST, LineBuffer

MOST_UNREAD = 64 * 2**20
"""Bytes that wait for a reader at most; beyond it nobody reads, and events are dropped."""

_PIECE = 2**16


class Channel:
    """The wire of this process.

    From now on descriptor 0 is empty and descriptor 1 leads to standard error, for Python, for C and for
    child processes alike.  A thread of its own writes, so that nobody who speaks waits for a reader.
    """

    def __init__(self) -> None:
        sys.stdout.flush()
        self._requests: BinaryIO = os.fdopen(os.dup(0), "rb")
        self._out = os.fdopen(os.dup(1), "wb", buffering=0)
        self._unread: deque[bytes] = deque()
        self._size, self._written = 0, 0
        self._changed = threading.Condition()
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        os.dup2(2, 1)
        threading.Thread(target=self._write, name="wire", daemon=True).start()

    def lines(self) -> Iterator[str]:
        """Yield the lines of the front end until it closes its end."""
        buffer = LineBuffer()
        while piece := os.read(self._requests.fileno(), _PIECE):
            yield from buffer.feed(piece)
        yield from buffer.feed(b"\n")

    def send(self, event: events.Event) -> None:
        """Send an event, without waiting; any thread may.  One that nobody reads any more is dropped."""
        data = _line(event)
        if len(data) > LONGEST:
            data = _line(_too_long(event))
        with self._changed:
            if self._size + len(data) <= MOST_UNREAD:
                self._unread.append(data)
                self._size += len(data)
                self._changed.notify_all()

    def drain(self, timeout: float) -> None:
        """Wait until all is written, but not for a reader that takes nothing for so many seconds."""
        with self._changed:
            seen, since = self._written, time.monotonic()
            while self._size and time.monotonic() - since < timeout:
                self._changed.wait(0.1)
                if self._written != seen:
                    seen, since = self._written, time.monotonic()

    def _write(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._unread)
                data = self._unread.popleft()
            while data:
                try:
                    count = self._out.write(data[:_PIECE]) or 0
                except OSError:  # the front end is gone; the end of its requests says so too
                    count = len(data)
                data = data[count:]
                with self._changed:
                    self._size, self._written = self._size - count, self._written + count
                    self._changed.notify_all()


def _line(event: events.Event) -> bytes:
    return f"{events.encode(event)}\n".encode("ascii")


def _too_long(event: events.Event) -> events.Failed:
    """Return the replacement of an event that a reader would refuse, so that no job waits for its end."""
    return events.Failed(getattr(event, "job", None), "The answer is too long for the wire.", todo="Ask for less.")
