"""A worker as a child of this Python; Slicer's panel brings its own transport instead."""

from __future__ import annotations

import queue
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import IO, Self

WORKER = (sys.executable, "-m", "IncrementalSegLib.worker")
"""Command that starts a worker with the Python that runs now."""

_PIECE = 2**16
_MOST_PIECES = 256  # a worker that says more than is read waits


class SubprocessTransport:
    """Start a worker and exchange bytes with it; used in ``with``, it ends the worker.

    Args:
        command: Program and arguments.
        stderr: Where its log goes; by default to that of this process.
    """

    def __init__(self, command: Sequence[str] = WORKER, stderr: int | IO[bytes] | None = None) -> None:
        self.process = subprocess.Popen(  # noqa: S603  (no shell; the caller names the program)
            list(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, bufsize=0
        )
        self._pieces: queue.Queue[bytes] = queue.Queue(_MOST_PIECES)
        self._ended = False
        threading.Thread(target=self._listen, daemon=True).start()

    def write(self, data: bytes) -> None:
        """Send bytes; what a dead worker cannot take is dropped."""
        assert self.process.stdin is not None
        with suppress(OSError, ValueError):
            self.process.stdin.write(data)

    def read(self, timeout: float) -> bytes | None:
        """Wait for what arrives; empty after ``timeout`` seconds, ``None`` when the worker has ended."""
        if self._ended:
            return None
        try:
            piece = self._pieces.get(timeout=timeout)
        except queue.Empty:
            return b""
        self._ended = not piece
        return piece or None

    def kill(self) -> None:
        """End the worker at once."""
        self.process.kill()

    def close(self, timeout: float = 10.0) -> int:
        """Close the worker's input, which ends it, and return its exit status; by force after ``timeout`` seconds."""
        assert self.process.stdin is not None
        with suppress(OSError):
            self.process.stdin.close()
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as stream:
            while piece := stream.read(_PIECE):
                self._pieces.put(piece)
        self._pieces.put(b"")
