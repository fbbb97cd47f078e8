"""What is wrong with how a panel is laid out: hidden, overlapping, clipped or scrolled sideways."""

from itertools import combinations

import ctk
import qt

_EDGE = 1
"""Pixels by which frames of neighbours may touch."""
_BAR = 12
"""Pixels that a bar keeps free beside its text."""
_ARROW = 28
"""Pixels that a chooser keeps free for its arrow and frame."""


def faults(widget, primary):
    """Return a sentence for each fault of a visible panel.

    Args:
        widget: The whole panel.
        primary: The button that has to be seen, or None.
    """
    shown = [part for part in widget.findChildren(qt.QWidget) if part.isVisibleTo(widget)]
    found = [] if primary is None else _hidden(widget, primary)
    for part in shown:
        found += _sideways(part) + _overlaps(part) + _clipped(part)
    return found


def _hidden(widget, primary):
    if not primary.isVisibleTo(widget):
        return [f"{_name(primary)} is not shown"]
    place = qt.QRect(primary.mapTo(widget, qt.QPoint(0, 0)), primary.size)
    hit = widget.childAt(place.center())
    seen = widget.rect.contains(place) and hit is primary
    return [] if seen else [f"{_name(primary)} cannot be seen"]


def _sideways(part):
    if isinstance(part, qt.QPlainTextEdit) or not isinstance(part, qt.QAbstractScrollArea):
        return []
    inner = part.widget() if isinstance(part, qt.QScrollArea) else None
    wide = part.horizontalScrollBar().maximum > 0 or (inner is not None and inner.width > part.viewport().width)
    return [f"{_name(part)} is wider than it may be"] if wide else []


def _overlaps(part):
    if part.layout() is None:
        return []
    parts = [one for one in part.children() if one.isWidgetType() and one.isVisibleTo(part) and not one.isWindow()]
    found = [f"{_name(one)} leaves {_name(part)}" for one in parts if not part.rect.contains(_inside(one))]
    pairs = combinations(parts, 2)
    return found + [f"{_name(a)} lies over {_name(b)}" for a, b in pairs if _inside(a).intersects(_inside(b))]


def _inside(part):
    return part.geometry.adjusted(_EDGE, _EDGE, -_EDGE, -_EDGE)


def _clipped(part):
    if isinstance(part, qt.QTableWidget):
        return _clippedTitles(part)
    room, needed = (part.width, part.height), _needed(part)
    if needed is None or (needed[0] <= room[0] and needed[1] <= room[1]):
        return []
    return [f"{_name(part)} is clipped: {needed} of {room}"]


def _clippedTitles(table):
    header = table.horizontalHeader()
    narrow = [one for one in range(table.columnCount) if header.sectionSize(one) < header.sectionSizeHint(one)]
    return [f"title {table.horizontalHeaderItem(one).text()!r} of {_name(table)} is clipped" for one in narrow]


def _needed(part):
    """Return the width and height that a widget needs for its text, or None where it has none or elides it."""
    if isinstance(part, ctk.ctkCollapsibleButton):
        return _width(part, part.text) + 26, 0
    if isinstance(part, qt.QAbstractButton) and part.text:
        return part.sizeHint.width(), part.sizeHint.height()
    if isinstance(part, qt.QGroupBox):
        return _width(part, part.title) + _BAR, 0
    if isinstance(part, qt.QProgressBar) and part.textVisible:
        return _width(part, part.text) + _BAR, 0
    if isinstance(part, qt.QLineEdit) and part.placeholderText:
        return _width(part, part.placeholderText) + _BAR, 0
    if isinstance(part, qt.QComboBox) and part.objectName:  # the others choose among names of any length
        return _width(part, part.currentText) + _ARROW, 0
    if isinstance(part, qt.QLabel) and part.text:
        return _label(part)
    return None


def _label(part):
    if not part.wordWrap:
        return part.sizeHint.width(), part.sizeHint.height()
    words = part.text.replace("\u200b", " ").split() if "<" not in part.text else []
    return max((_width(part, word) for word in words), default=0), part.heightForWidth(part.width)


def _width(part, text):
    return part.fontMetrics().horizontalAdvance(text)


def _name(part):
    return f"{part.className()} {part.objectName or '?'}"
