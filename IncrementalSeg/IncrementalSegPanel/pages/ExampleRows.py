"""The rows of the examples: one scan each, with thumbnail, outline, volume and hints."""

from __future__ import annotations

from typing import Any

import qt
from slicer.i18n import tr as _

from IncrementalSegPanel import Fitting
from IncrementalSegPanel.flows.Collecting import Collecting
from IncrementalSegPanel.flows.Rows import ScanRow
from IncrementalSegPanel.pages.Discard import discard
from IncrementalSegPanel.Wording import millilitres

_PICTURE = 80
"""Pixels."""


class ExampleRows:
    """Show the rows of a flow; made anew when other scans come, else only changed.

    Args:
        holder: The widget that the rows are put into, above what room is left.
        flow: What they show and tell.
    """

    def __init__(self, holder: Any, flow: Collecting) -> None:
        self._layout, self._flow = holder.layout(), flow
        self._layout.addStretch(1)
        self._shown: list[tuple[str, tuple[Any, ...]]] = []
        self._lines: list[_Line] = []

    def render(self) -> None:
        """Show the rows as they are now."""
        wanted = [(row.scan, row.examples) for row in self._flow.rows]
        if wanted != self._shown:
            self._shown = wanted
            for line in self._lines:
                line.remove()
            self._lines = [_Line(self._flow, number, row) for number, row in enumerate(self._flow.rows)]
            for number, line in enumerate(self._lines):
                self._layout.insertWidget(number, line.widget)
        for line, row in zip(self._lines, self._flow.rows, strict=True):
            line.render(row)


class _Line:
    """One row."""

    def __init__(self, flow: Collecting, number: int, row: ScanRow) -> None:
        self._flow, self._number, self._examples = flow, number, row.examples
        self._path: object = None
        self.widget = qt.QFrame()
        self._box, self._picture = qt.QCheckBox(), qt.QLabel()
        self._scan, self._choice, self._facts, self._hints = (
            qt.QLabel(row.scan), qt.QComboBox(), qt.QLabel(), qt.QLabel()
        )  # fmt: skip
        self._lay()
        self._choice.addItem(_("Which outline?"))
        for example in row.examples:
            self._choice.addItem(example.name)
        self._box.connect("toggled(bool)", self._ticked)
        self._choice.connect("currentIndexChanged(int)", self._chosen)

    def remove(self) -> None:
        """Take it out of the page."""
        discard(self.widget, self)

    def render(self, row: ScanRow) -> None:
        """Show the row as it is now."""
        refused = self._flow.refusal(row)
        for part in (self._box, self._choice):
            part.blockSignals(True)
        self._box.checked = row.ticked
        self._box.enabled = not refused
        self._box.toolTip = refused or _("Use this scan for teaching")
        self._choice.currentIndex = 0 if row.choice is None else row.choice + 1
        for part in (self._box, self._choice):
            part.blockSignals(False)
        self._choice.visible = len(row.examples) > 1
        example = row.example
        ml = row.ml if example is None else example.ml
        facts = [] if ml is None else [millilitres(ml)]
        if len(row.examples) == 1:
            facts.insert(0, row.examples[0].name)
        self._facts.text = " · ".join(facts)
        self._facts.visible = bool(facts)
        own = () if example is None else example.hints
        hints = [f"⚠ {refused}"] if refused else [*row.hints, *own]
        self._hints.text = "\n".join(hints)
        self._hints.visible = bool(hints)
        Fitting.breakLongWords((self._scan, self._facts, self._hints))
        self._draw(row)

    def _draw(self, row: ScanRow) -> None:
        self._picture.visible = bool(row.examples) or row.picture is not None
        if row.picture == self._path:
            return
        self._path = row.picture
        picture = qt.QPixmap() if row.picture is None else qt.QPixmap(str(row.picture))
        if not picture.isNull():
            picture = picture.scaled(_PICTURE, _PICTURE, qt.Qt.KeepAspectRatio, qt.Qt.SmoothTransformation)
        self._picture.setPixmap(picture)

    def _lay(self) -> None:
        self._picture.setFixedSize(_PICTURE, _PICTURE)
        self._picture.setAlignment(qt.Qt.AlignCenter)
        for label in (self._scan, self._facts, self._hints):
            label.setWordWrap(True)
        Fitting.yieldWidth((self._scan, self._choice, self._facts, self._hints))
        texts = qt.QVBoxLayout()
        for part in (self._scan, self._choice, self._facts, self._hints):
            texts.addWidget(part)
        texts.addStretch(1)
        across = qt.QHBoxLayout(self.widget)
        across.setContentsMargins(0, 2, 0, 2)
        across.addWidget(self._box)
        across.addWidget(self._picture)
        across.addLayout(texts, 1)

    def _ticked(self, ticked: bool) -> None:
        if self._stands():
            self._flow.tick(self._number, ticked)

    def _chosen(self, index: int) -> None:
        if self._stands():
            self._flow.choose(self._number, index - 1 if index > 0 else None)

    def _stands(self) -> bool:
        """Return whether the flow still has this row; a click may come before other rows have been drawn."""
        rows = self._flow.rows
        return self._number < len(rows) and rows[self._number].examples == self._examples
