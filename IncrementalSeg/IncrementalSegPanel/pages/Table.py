"""A table of texts in which one row is chosen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import qt

Cell = str | tuple[Any, str]
"""A text, or an icon and a text."""

_FRAME = 18
"""Pixels of frame and of a scroll bar at the bottom."""

_MOST_ROWS = 8
"""A longer table scrolls by itself."""


class Table:
    """Fill a ``QTableWidget`` and say which row was chosen by a person.

    Args:
        widget: The table.
        titles: Of its columns.
        stretched: The column that takes the room that is left.
        chosen: Receives the number of a row.
    """

    def __init__(self, widget: Any, titles: Sequence[str], stretched: int, chosen: Callable[[int], None]) -> None:
        self._widget, self._chosen = widget, chosen
        self._rows: list[list[Cell]] | None = None
        widget.setColumnCount(len(titles))
        widget.setHorizontalHeaderLabels(list(titles))
        widget.verticalHeader().setVisible(False)
        header = widget.horizontalHeader()
        header.setSectionResizeMode(qt.QHeaderView.ResizeToContents)
        header.setSectionResizeMode(stretched, qt.QHeaderView.Stretch)
        widget.connect("itemSelectionChanged()", self._select)

    def show(self, rows: Sequence[Sequence[Cell]], chosen: int | None, tips: Sequence[str] = ()) -> None:
        """Show rows and choose one.

        Args:
            rows: Cells of each row.
            chosen: Number of the row that is chosen, or ``None``.
            tips: What is said of each row when the mouse rests on it.
        """
        texts = [[cell if isinstance(cell, str) else cell[1] for cell in row] for row in rows]
        blocked = self._widget.blockSignals(True)
        if texts != self._rows:
            self._fill(rows, tips)
            self._rows = texts
        if chosen is None:
            self._widget.clearSelection()
        elif chosen != self._widget.currentRow() or not self._widget.selectedItems():
            self._widget.selectRow(chosen)
        self._widget.blockSignals(blocked)

    def _fill(self, rows: Sequence[Sequence[Cell]], tips: Sequence[str]) -> None:
        self._widget.setRowCount(len(rows))
        for number, row in enumerate(rows):
            for column, cell in enumerate(row):
                text = cell if isinstance(cell, str) else cell[1]
                item = qt.QTableWidgetItem(text)
                if not isinstance(cell, str):
                    item.setIcon(cell[0])
                item.setToolTip(tips[number] if tips else text)
                self._widget.setItem(number, column, item)
        self._widget.resizeRowsToContents()
        height = sum(self._widget.rowHeight(number) for number in range(min(len(rows), _MOST_ROWS)))
        self._widget.setFixedHeight(height + self._widget.horizontalHeader().sizeHint.height() + _FRAME)

    def _select(self) -> None:
        items = self._widget.selectedItems()
        if items:
            self._chosen(items[0].row())
