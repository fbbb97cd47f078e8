"""A short look outside: a child process whose answer comes later, while Slicer stays free."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import qt

FAILED = -1
"""Exit status of what could not be started, has crashed or took too long."""


class Probe:
    """Run a program once.

    Args:
        program: Name on the path, or path.
        arguments: As they are; no shell reads them.
        done: Receives the exit status, standard output and standard error, on the main thread.
        seconds: How long it may take.
        environment: ``NAME=value`` of each variable; by default that of the application.
    """

    def __init__(
        self,
        program: str,
        arguments: Sequence[str],
        done: Callable[[int, str, str], None],
        seconds: float,
        environment: Sequence[str] | None = None,
    ) -> None:
        self._done = done
        self._process = qt.QProcess()
        if environment is not None:
            self._process.setEnvironment(list(environment))
        self._process.connect("finished(int,QProcess::ExitStatus)", self._finished)
        self._process.connect("errorOccurred(QProcess::ProcessError)", self._failed)
        self._patience = qt.QTimer()
        self._patience.setSingleShot(True)
        self._patience.connect("timeout()", self._process.kill)
        self._patience.start(int(1000 * seconds))
        self._process.start(program, list(arguments))

    def cancel(self) -> None:
        """End it at once."""
        self._process.kill()

    def _finished(self, code: int, status: int) -> None:
        self._patience.stop()
        self._done(code if status == qt.QProcess.NormalExit else FAILED, *self._said())

    def _failed(self, error: int) -> None:
        if error == qt.QProcess.FailedToStart:  # after any other error it also finishes
            self._patience.stop()
            self._done(FAILED, "", "")

    def _said(self) -> tuple[str, str]:
        texts = (self._process.readAllStandardOutput(), self._process.readAllStandardError())
        output, errors = (text.data().decode("utf-8", "replace") for text in texts)
        return output, errors
