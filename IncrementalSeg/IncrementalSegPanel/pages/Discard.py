"""The end of widgets that Python made: one owner deletes them, and nothing of them acts any more."""

from __future__ import annotations

from functools import partial
from typing import Any

import qt

_dying: dict[int, tuple[Any, object]] = {}
"""Widgets that Qt has not deleted yet, with the objects that their signals call."""


def discard(widget: Any, owner: object = None) -> None:
    """Hide a widget, and let Qt delete it when the main thread has answered everything else.

    Qt stays its only owner: ``setParent(None)`` would make Python a second one, and the last reference from Python,
    often the connection of a button below, would free it once more while Qt deletes it. A hidden widget takes no room
    in its layout, which forgets a deleted one by itself.

    Args:
        widget: It has a parent; nobody uses it afterwards.
        owner: The object that the signals of the widget call; kept until the widget is gone.
    """
    widget.hide()
    for child in widget.findChildren(qt.QWidget):
        child.blockSignals(True)
    _dying[id(widget)] = widget, owner
    widget.connect("destroyed()", partial(_gone, id(widget)))
    widget.deleteLater()


def _gone(key: int) -> None:
    """Let go of a widget, but not while its destructor runs."""
    qt.QTimer.singleShot(0, partial(_dying.pop, key, None))
