"""A table of texts in which one row is chosen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import qt

Cell = str | tuple[Any, str]
"""A text, or an icon (``None`` until it is made) and a text."""

_FRAME = 18
"""Pixels of frame and of a scroll bar at the bottom."""

_ROOM = 16
"""Characters that the stretched column has before the lines of others are broken."""


class Table:
    """Fill a ``QTableWidget`` and say which row was chosen by a person.

    Args:
        widget: The table.
        titles: Of its columns.
        stretched: The column that takes the room that is left; its texts may be broken between words.
        chosen: Receives the number of a row.
        broken: Columns whose texts are broken between words where there is little room.
        most: A table with more rows than this scrolls by itself.
    """

    def __init__(
        self,
        widget: Any,
        titles: Sequence[str],
        stretched: int,
        chosen: Callable[[int], None],
        broken: Sequence[int] = (),
        most: int = 8,
    ) -> None:
        self._most = most
        self._widget, self._chosen, self._stretched, self._broken = widget, chosen, stretched, broken
        self._rows: list[list[str]] | None = None
        self._icons: list[bool] = []
        widget.setColumnCount(len(titles))
        widget.setHorizontalHeaderLabels(list(titles))
        widget.verticalHeader().setVisible(False)
        widget.wordWrap = True
        header = widget.horizontalHeader()
        header.setMinimumSectionSize(1)
        header.setHighlightSections(False)
        header.setSectionResizeMode(qt.QHeaderView.ResizeToContents)
        for column in broken:
            header.setSectionResizeMode(column, qt.QHeaderView.Fixed)
        header.setSectionResizeMode(stretched, qt.QHeaderView.Stretch)
        self._soon = qt.QTimer(widget)  # rows that change while columns do would be forgotten
        self._soon.setSingleShot(True)
        self._soon.connect("timeout()", self._fit)
        header.connect("sectionResized(int,int,int)", lambda *_sizes: self._soon.start(0))
        widget.connect("itemSelectionChanged()", self._select)

    def limit(self, most: int) -> None:
        """Change how many rows are seen at once."""
        if most != self._most:
            self._most = most
            self._soon.start(0)

    def show(self, rows: Sequence[Sequence[Cell]], chosen: int | None, tips: Sequence[str] = ()) -> None:
        """Show rows and choose one.

        Args:
            rows: Cells of each row.
            chosen: Number of the row that is chosen, or ``None``.
            tips: What is said of each row when the mouse rests on it.
        """
        texts = [[cell if isinstance(cell, str) else cell[1] for cell in row] for row in rows]
        blocked = self._widget.blockSignals(True)
        icons = [cell[0] is not None for row in rows for cell in row if not isinstance(cell, str)]
        if (texts, icons) != (self._rows, self._icons):
            self._rows, self._icons = texts, icons
            self._fill(rows, tips)
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
                if not isinstance(cell, str) and cell[0] is not None:
                    item.setIcon(cell[0])
                item.setToolTip(tips[number] if tips else text)
                self._widget.setItem(number, column, item)
        self._fit()

    def _fit(self) -> None:
        """Give columns the width, rows the height, and the table the height that they need."""
        widget, header = self._widget, self._widget.horizontalHeader()
        narrow = {column: max(self._ofWords(column), header.sectionSizeHint(column)) for column in self._broken}
        wide = {column: max(widget.sizeHintForColumn(column), header.sectionSizeHint(column)) for column in narrow}
        others = sum(widget.columnWidth(column) for column in range(widget.columnCount) if column not in wide)
        room = _ROOM * widget.fontMetrics().averageCharWidth()
        stretched = widget.viewport().width - sum(wide.values()) - (others - widget.columnWidth(self._stretched))
        for column, width in (wide if stretched >= room else narrow).items():
            widget.setColumnWidth(column, width)
        widget.resizeRowsToContents()
        height = sum(widget.rowHeight(number) for number in range(min(widget.rowCount, self._most)))
        widget.setFixedHeight(height + header.sizeHint.height() + _FRAME)

    def _ofWords(self, column: int) -> int:
        """Return the width of a column whose lines end after each word."""
        metrics, texts = self._widget.fontMetrics(), [row[column] for row in self._rows or ()]

        def longest(parts: Iterable[str]) -> int:
            return max((metrics.horizontalAdvance(part) for part in parts), default=0)

        lines = [line for text in texts for line in text.splitlines()]
        words = [word for text in texts for word in text.split()]
        return self._widget.sizeHintForColumn(column) - longest(lines) + longest(words)

    def _select(self) -> None:
        items = self._widget.selectedItems()
        if items:
            self._chosen(items[0].row())
