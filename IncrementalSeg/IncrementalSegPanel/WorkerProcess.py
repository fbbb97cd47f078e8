"""A worker as a child of Slicer, without a thread that would need the interpreter's lock."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import qt

import IncrementalSegLib
from IncrementalSegLib.errors import WireError
from IncrementalSegPanel.Translation import _

LIBRARY = Path(IncrementalSegLib.__file__).resolve().parents[1]
"""The folder that holds the library."""


def python() -> str:
    """Return the program that runs Python outside of the application: Slicer's ``PythonSlicer``, else this one."""
    return shutil.which("PythonSlicer") or sys.executable


def environment() -> list[str]:
    """Return the environment of the application as ``NAME=value``, with what a worker needs."""
    paths = [str(LIBRARY), *filter(None, [os.environ.get("PYTHONPATH")])]
    own = {"PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    return [f"{name}={value}" for name, value in (os.environ | own).items()]


class WorkerProcess:
    """The transport of a worker's client.

    What the process says on standard error goes to a file, so that a full pipe can never stop it.

    Args:
        log: That file.
        command: Program and arguments; by default a worker.

    Attributes:
        pid: Of the worker itself, once it has said so; what was started may be a launcher, which dies alone.
    """

    def __init__(self, log: Path, command: tuple[str, ...] | None = None) -> None:
        self._program, *self._arguments = command or (python(), "-m", "IncrementalSegLib.worker")
        self._process = qt.QProcess()
        self._process.setEnvironment(environment())
        self._process.setStandardErrorFile(str(log), qt.QIODevice.Append)
        self._arrived: Callable[[bytes], None] = _ignore
        self._ended: Callable[[WireError], None] = _ignore
        self.pid: int | None = None

    @property
    def running(self) -> bool:
        """Whether the process has been started and has not ended."""
        return self._process.state() != qt.QProcess.NotRunning

    def start(self, arrived: Callable[[bytes], None], ended: Callable[[WireError], None]) -> None:
        """Start the process.

        Args:
            arrived: Receives what it sends, in pieces.
            ended: Receives why, when it has ended or could not be started.
        """
        self._arrived, self._ended = arrived, ended
        self._process.connect("readyReadStandardOutput()", self._read)
        self._process.connect("finished(int,QProcess::ExitStatus)", self._finished)
        self._process.connect("errorOccurred(QProcess::ProcessError)", self._failed)
        self._process.start(self._program, self._arguments)

    def write(self, data: bytes) -> None:
        """Send bytes; what a dead worker cannot take is dropped."""
        if self.running:
            self._process.write(data)

    def kill(self) -> None:
        """End the worker at once."""
        self._process.kill()
        if self.pid is not None:
            with suppress(OSError):
                os.kill(self.pid, getattr(signal, "SIGKILL", signal.SIGTERM))  # Windows has the second only, as hard

    def release(self) -> None:
        """Close the worker's input, which ends it; what it does now is paused first."""
        self._process.closeWriteChannel()

    def close(self, timeout: float) -> None:
        """End the worker and wait for it, by force after so many seconds; nothing more is heard of it."""
        self._arrived = self._ended = _ignore
        if self.running:
            self.release()
            if not self._process.waitForFinished(int(1000 * timeout)):
                self.kill()
                self._process.waitForFinished(1000)

    def _read(self) -> None:
        self._arrived(self._process.readAllStandardOutput().data())

    def _finished(self, code: int, _status: int) -> None:
        self.pid = None  # the system may give it to another process
        why = WireError(
            _("The worker has ended unexpectedly, with exit status {code}.").format(code=code),
            todo=_(
                "Try again; a step resumes from its last checkpoint, corrections from their last round. The log may "
                "have details."
            ),
        )
        try:
            self._read()
        finally:  # a listener may raise
            self._ended(why)

    def _failed(self, error: int) -> None:
        if error == qt.QProcess.FailedToStart:
            self._ended(
                WireError(
                    _("The worker cannot be started."),
                    _("The program {program} cannot be run.").format(program=self._program),
                    _("Install Slicer again, or ask who manages this computer."),
                )
            )


def _ignore(_what: bytes | WireError) -> None:
    """Hear nothing."""
