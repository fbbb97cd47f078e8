"""Pictures of widgets, light and dark."""

from contextlib import contextmanager
from pathlib import Path

from PySide6 import QtGui, QtWidgets
from standin.events import settle

_DARK = {
    "Window": "#353535", "WindowText": "#ffffff", "Base": "#232323", "AlternateBase": "#353535", "Text": "#ffffff",
    "ToolTipBase": "#353535", "ToolTipText": "#ffffff", "Button": "#353535", "ButtonText": "#ffffff",
    "BrightText": "#ff4040", "Link": "#4aa3ff", "Highlight": "#2a82da", "HighlightedText": "#ffffff",
    "PlaceholderText": "#9a9a9a", "Light": "#5a5a5a", "Midlight": "#454545", "Mid": "#2a2a2a", "Dark": "#1e1e1e",
}  # fmt: skip
_DIMMED = ("WindowText", "Text", "ButtonText")

_TRIES = 3
"""Times that the height is adjusted: what has more room may ask for more."""


def screenshot(widget, path, dark=False, width=420):
    """Write a PNG of a widget, as wide as Slicer's module panel and tall enough that nothing is cut."""
    with themed(dark):
        widget.show()
        widget.resize(width, 200)
        settle()
        for _ in range(_TRIES):
            widget.resize(width, max(_height(widget, width), 120))
            settle()
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        if not widget.grab().save(str(path)):
            raise OSError(f"could not write {path}")
    return Path(path)


@contextmanager
def themed(dark):
    """Show everything in the colours of the light or the dark theme."""
    app = QtWidgets.QApplication
    before = app.palette()
    app.setPalette(_palette(dark))
    try:
        yield
    finally:
        app.setPalette(before)


def _palette(dark):
    palette = QtWidgets.QStyleFactory.create("Fusion").standardPalette()
    if not dark:
        light = QtGui.QPalette(QtGui.QColor("#efefef"))
        return light if palette.color(QtGui.QPalette.Window).lightness() < 128 else palette
    for role, color in _DARK.items():
        palette.setColor(getattr(QtGui.QPalette, role), QtGui.QColor(color))
    for role in _DIMMED:
        palette.setColor(QtGui.QPalette.Disabled, getattr(QtGui.QPalette, role), QtGui.QColor("#808080"))
    return palette


def _height(widget, width):
    """Return the height a widget needs at a width, with what its scroll areas hide."""
    layout, wanted = widget.layout(), _hint(widget)
    if layout is not None and layout.hasHeightForWidth():
        wanted = max(wanted, layout.totalHeightForWidth(width))
    hidden = 0
    for area in widget.findChildren(QtWidgets.QScrollArea):
        inner = area.widget()
        if inner is not None and inner.isVisibleTo(widget):
            hidden += max(0, _needed(inner, area.viewport().width) - area.height)
    return max(wanted, widget.height + hidden)


def _needed(inner, width):
    layout = inner.layout()
    if layout is not None and layout.hasHeightForWidth():
        return max(layout.totalHeightForWidth(width), layout.totalMinimumSize().height())
    return _hint(inner)


def _hint(widget):
    hint = widget.sizeHint
    return (hint() if callable(hint) else hint).height()
