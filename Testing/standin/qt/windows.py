"""Windows that nobody wanted: a widget that is shown before it has a parent is a window called "Slicer-tmp"."""

import sys
from pathlib import Path

from PySide6 import QtWidgets
from standin.qt import signals

_STANDIN = Path(__file__).resolve().parents[1]
_PRODUCT = _STANDIN.parents[1] / "IncrementalSeg"
_MEANT = (QtWidgets.QDialog, QtWidgets.QMainWindow, QtWidgets.QMenu)


def shown(widget):
    """Complain where code of the module, not a test or Slicer, shows a widget without parent and title."""
    if not isinstance(widget, QtWidgets.QWidget) or isinstance(widget, _MEANT):
        return
    if QtWidgets.QWidget.parentWidget(widget) is None and not QtWidgets.QWidget.windowTitle(widget) and _by_module():
        signals.report(f"a window without title: {type(widget).__name__} is shown before it has a parent")


def _by_module():
    return _PRODUCT in caller().parents


def caller():
    """Return the file of the next caller outside of the stand-in's Qt."""
    frame = sys._getframe(1)
    while frame.f_back is not None and Path(frame.f_code.co_filename).parent == _STANDIN / "qt":
        frame = frame.f_back
    return Path(frame.f_code.co_filename)
