"""A form made of fields: a chooser or a line for each, with why a value cannot be used at its field."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import qt
from slicer.i18n import tr as _

from IncrementalSegPanel import Fitting
from IncrementalSegPanel.documents.Options import Answers, Field
from IncrementalSegPanel.pages.Discard import discard


class OptionsForm:
    """Ask for options; what a person leaves alone is not answered.

    Args:
        holder: The widget that the form is put into.
        changed: Called after each change.
    """

    def __init__(self, holder: Any, changed: Callable[[], None]) -> None:
        self._layout, self._changed = holder.layout(), changed
        self._fields: tuple[Field, ...] | None = None
        self._answers = Answers()
        self._widget: Any = None
        self._lines: list[_Line] = []

    def render(self, fields: Sequence[Field], answers: Answers) -> None:
        """Show these fields with what was answered so far."""
        if tuple(fields) != self._fields or answers is not self._answers:
            self._fields, self._answers = tuple(fields), answers
            self._build()
        for line in self._lines:
            line.render()

    def _build(self) -> None:
        if self._widget is not None:
            discard(self._widget, self._lines)
        self._widget = qt.QWidget()
        form = qt.QFormLayout(self._widget)
        form.setContentsMargins(0, 0, 0, 0)
        form.setRowWrapPolicy(qt.QFormLayout.WrapLongRows)
        self._lines = [_Line(field, self._answers, self._changed) for field in self._fields or ()]
        for line in self._lines:
            form.addRow(line.title, line.editor)
            form.addRow(line.fault)
        self._layout.addWidget(self._widget)


class _Line:
    """One field."""

    def __init__(self, field: Field, answers: Answers, changed: Callable[[], None]) -> None:
        self._field, self._answers, self._changed = field, answers, changed
        self.title, self.fault = qt.QLabel(field.title), qt.QLabel()
        self.fault.setWordWrap(True)
        Fitting.yieldWidth((self.fault,))
        self.editor = self._chooser() if field.choices else self._edit()
        self.title.toolTip = self.editor.toolTip = field.description
        self.editor.accessibleName = field.title

    def render(self) -> None:
        """Show why what was typed cannot be used."""
        fault = self._answers.faults.get(self._field.name, "")
        self.fault.text = f"⚠ {fault}"
        self.fault.visible = bool(fault)

    def _chooser(self) -> Any:
        field = self._field
        box = qt.QComboBox()
        Fitting.yieldWidth((box,))
        box.addItem(_("default: {}").format(field.word(field.default)))
        for value in field.choices:
            box.addItem(field.word(value))
        known = field.name in self._answers.values
        box.currentIndex = field.choices.index(self._answers.values[field.name]) + 1 if known else 0
        box.connect("currentIndexChanged(int)", self._chosen)
        return box

    def _edit(self) -> Any:
        field = self._field
        edit = qt.QLineEdit()
        edit.placeholderText = _("default: {}").format(field.word(field.default))
        if field.name in self._answers.values:
            edit.text = field.word(self._answers.values[field.name])
        edit.connect("textEdited(QString)", self._typed)
        return edit

    def _chosen(self, index: int) -> None:
        if index > 0:
            self._answers.choose(self._field, self._field.choices[index - 1])
        else:
            self._answers.leave(self._field)
        self._changed()

    def _typed(self, text: str) -> None:
        self._answers.type(self._field, text)
        self._changed()
