"""The event loop in tests."""

import time

from PySide6 import QtCore, QtWidgets


def settle(rounds=3):
    """Let posted events, deferred deletions and layouts happen."""
    for _ in range(rounds):
        QtWidgets.QApplication.processEvents()
        QtWidgets.QApplication.sendPostedEvents(None, QtCore.QEvent.DeferredDelete)


def wait(condition, seconds=5.0):
    """Run the event loop until a condition holds.

    Raises:
        AssertionError: It did not hold in time.
    """
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"did not happen within {seconds} s")
        QtWidgets.QApplication.processEvents(QtCore.QEventLoop.AllEvents, 20)
        time.sleep(0.002)
