"""Width and height of what a page shows: take the room that is there, and never ask for more."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import ctk
import qt
import slicer

_LONGEST = 16
"""Characters after which a word may be broken."""

_BREAK = "\u200b"
"""A place at which a line may end, without width."""

_TAG_OR_LONG_RUN = re.compile(rf"(<[^<>]*>)|[^\s<>{_BREAK}]{{{_LONGEST + 1},}}")
_BETWEEN = re.compile(rf"[^\\/_.,;:-]{{1,{_LONGEST}}}[\\/_.,;:-]*|[\\/_.,;:-]+")


def breakable(text: str) -> str:
    """Return a text in which lines can end within long words such as paths and names of files; tags stay whole.

    Example:
        >>> breakable("short words"), len(breakable("x" * 40)), breakable("<b>Remembering</b>")
        ('short words', 42, '<b>Remembering</b>')
    """
    return _TAG_OR_LONG_RUN.sub(lambda run: run[1] or _BREAK.join(_BETWEEN.findall(run[0])), text)


def shortened(text: str, most: int = 24) -> str:
    """Return a text for a button, which cannot wrap: a long one without its middle.

    Example:
        >>> shortened("Shoulder MR"), shortened("Thorax_portalvenous_1.5mm", 12)
        ('Shoulder MR', 'Thorax…1.5mm')
    """
    if len(text) <= most:
        return text
    end = (most - 1) // 2
    return f"{text[: most - 1 - end]}…{text[-end:]}"


def yieldWidth(widgets: Iterable[Any]) -> None:
    """Let wrapped labels, choosers and paths take any width, where they would ask for that of what they show.

    Args:
        widgets: Those of a form; others among them are left as they are.
    """
    for widget in widgets:
        if isinstance(widget, qt.QComboBox):
            widget.setSizeAdjustPolicy(qt.QComboBox.AdjustToMinimumContentsLengthWithIcon)
            widget.setMinimumContentsLength(8)
        elif isinstance(widget, (ctk.ctkPathLineEdit, slicer.qMRMLNodeComboBox)) or _wraps(widget):
            policy = widget.sizePolicy
            policy.setHorizontalPolicy(qt.QSizePolicy.Ignored)
            widget.setSizePolicy(policy)


def narrow(widget: Any) -> None:
    """Let a widget of Slicer's own need less width: long fields go below their labels, check boxes below each other."""
    for form in slicer.util.findChildren(widget, className="QFormLayout"):
        form.setRowWrapPolicy(qt.QFormLayout.WrapLongRows)
    for row in slicer.util.findChildren(widget, className="QHBoxLayout"):
        held = [row.itemAt(number).widget() for number in range(row.count())]
        if len(held) > 1 and all(isinstance(one, qt.QCheckBox) for one in held):
            row.setDirection(qt.QBoxLayout.TopToBottom)


def breakLongWords(widgets: Iterable[Any]) -> None:
    """Let lines end within the long words of wrapped labels."""
    for widget in widgets:
        if _wraps(widget) and widget.textFormat != qt.Qt.RichText:
            text = widget.text
            broken = breakable(text)
            if broken != text:
                widget.text = broken


def reserve(label: Any, lines: int) -> None:
    """Reserve room for the lines of a sentence that comes later, so that nothing below it moves then."""
    label.setMinimumHeight(lines * label.fontMetrics().lineSpacing())
    label.setAlignment(qt.Qt.AlignLeft | qt.Qt.AlignTop)


class AsHighAsContents(qt.QObject):
    """Give a scroll area the height of what it holds, up to a limit.

    Args:
        area: The scroll area.
        most: Pixels.
    """

    def __init__(self, area: Any, most: int) -> None:
        qt.QObject.__init__(self, area)
        self._area, self._most = area, most
        self._soon = qt.QTimer(self)  # a size that changes while a layout is being done would be forgotten by it
        self._soon.setSingleShot(True)
        self._soon.connect("timeout()", self._fit)
        area.installEventFilter(self)
        area.widget().installEventFilter(self)
        self._fit()

    def limit(self, most: int) -> None:
        """Change the limit."""
        self._most = most
        self._fit()

    def eventFilter(self, _watched: Any, event: Any) -> bool:
        """Fit again when the width or the contents have changed."""
        if event.type() in (qt.QEvent.Resize, qt.QEvent.LayoutRequest, qt.QEvent.Show):
            self._soon.start(0)
        return False

    def _fit(self) -> None:
        contents = self._area.widget()
        wanted = contents.heightForWidth(self._area.width)
        height = min(self._most, wanted if wanted >= 0 else contents.sizeHint.height())
        if self._area.minimumHeight != height or self._area.maximumHeight != height:
            self._area.setFixedHeight(height)


class AsWideAsContents(qt.QObject):
    """Let a scroll area ask for the width of what it holds, where that holds widgets of Slicer's own.

    Args:
        area: The scroll area.
    """

    def __init__(self, area: Any) -> None:
        qt.QObject.__init__(self, area)
        self._area = area
        area.widget().installEventFilter(self)

    def eventFilter(self, _watched: Any, event: Any) -> bool:
        """Ask for another width when the contents have changed."""
        if event.type() == qt.QEvent.LayoutRequest:
            bar = self._area.verticalScrollBar().sizeHint.width()
            self._area.setMinimumWidth(self._area.widget().minimumSizeHint.width() + bar)
        return False


def _wraps(widget: Any) -> bool:
    return isinstance(widget, qt.QLabel) and widget.wordWrap
