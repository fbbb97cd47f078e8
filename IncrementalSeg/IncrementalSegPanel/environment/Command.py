"""A module of Slicer's Python that runs outside, tells its lines as they come, and can be ended with all it started."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import qt

from IncrementalSegPanel.environment.Probe import FAILED
from IncrementalSegPanel.WorkerProcess import environment, python

_GROUP = Path(__file__).with_name("OwnGroup.py")
_QUIET = ("PIP_NO_INPUT=1", "PIP_DISABLE_PIP_VERSION_CHECK=1", "PYTHONUTF8=1")


class Command:
    """Run ``python -m MODULE ARGUMENTS``.

    Args:
        module: For example ``pip``.
        arguments: As they are; no shell reads them.
        log: Receives each line of output and errors, on the main thread.
        done: Receives the exit status, or :data:`FAILED` where it could not be started or was ended.
    """

    def __init__(
        self, module: str, arguments: Sequence[str], log: Callable[[str], None], done: Callable[[int], None]
    ) -> None:
        self._log, self._done = log, done
        self._rest = b""
        self._pid: int | None = None
        self._process = qt.QProcess()
        self._process.setEnvironment([*environment(), *_QUIET])
        self._process.setProcessChannelMode(qt.QProcess.MergedChannels)
        self._process.connect("readyReadStandardOutput()", self._read)
        self._process.connect("finished(int,QProcess::ExitStatus)", self._finished)
        self._process.connect("errorOccurred(QProcess::ProcessError)", self._failed)
        self._process.start(python(), [str(_GROUP), module, *arguments])

    def cancel(self) -> None:
        """End it at once, with all processes that it has started."""
        if self._process.state() == qt.QProcess.NotRunning:
            return
        if self._pid is not None:
            _endTree(self._pid)
        self._process.kill()  # what was started may be a launcher

    def _read(self) -> None:
        *lines, self._rest = (self._rest + self._process.readAllStandardOutput().data()).splitlines(keepends=True) or [
            b""
        ]
        if self._rest.endswith(b"\n"):
            lines, self._rest = [*lines, self._rest], b""
        for line in lines:
            self._tell(line)

    def _tell(self, line: bytes) -> None:
        text = line.decode("utf-8", "replace").rstrip()
        if self._pid is None and text.isdigit():
            self._pid = int(text)
        else:
            self._log(text)

    def _finished(self, code: int, status: int) -> None:
        self._read()
        if self._rest:
            self._tell(self._rest)
        self._done(code if status == qt.QProcess.NormalExit else FAILED)

    def _failed(self, error: int) -> None:
        if error == qt.QProcess.FailedToStart:  # after any other error it also finishes
            self._log(f"{python()} cannot be run.")
            self._done(FAILED)


def _endTree(pid: int) -> None:
    if hasattr(os, "killpg"):
        with suppress(OSError):
            os.killpg(pid, signal.SIGKILL)
    else:
        qt.QProcess.startDetached("taskkill", ["/PID", str(pid), "/T", "/F"])
