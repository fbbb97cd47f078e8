"""The structures of a model as a tree that can be searched and checked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import qt
from slicer.i18n import tr as _

from IncrementalSegPanel.documents.Heads import KnownStructure, grouped

_SQUARE = 12
"""Side of a square of colour in pixels."""


class HeadsTree:
    """Show heads, by group where there are several; tell when a person checks or unchecks some.

    Args:
        tree: A ``QTreeWidget`` with columns for name, Dice, scans and day.
        search: The line that filters it.
        allButton: Checks what is shown.
        noneButton: Unchecks what is shown.
        changed: Receives the uuids of the heads that are not checked.
    """

    def __init__(
        self, tree: Any, search: Any, allButton: Any, noneButton: Any, changed: Callable[[set[str]], None]
    ) -> None:
        self._tree, self._search, self._changed = tree, search, changed
        self._heads: list[KnownStructure] = []
        tree.header().setSectionResizeMode(0, qt.QHeaderView.Stretch)
        for column in range(1, tree.columnCount):
            tree.header().setSectionResizeMode(column, qt.QHeaderView.ResizeToContents)
        tree.connect("itemChanged(QTreeWidgetItem*,int)", self._tell)
        search.connect("textChanged(QString)", self._filter)
        allButton.connect("clicked()", lambda: self._checkShown(True))
        noneButton.connect("clicked()", lambda: self._checkShown(False))

    def render(self, heads: list[KnownStructure], chosen: list[KnownStructure]) -> None:
        """Show heads, of which some are checked."""
        self._tree.blockSignals(True)
        if heads != self._heads:
            self._heads = heads
            self._fill()
            self._filter(self._search.text)
        ids = {head.id for head in chosen}
        for head, item in self._items():
            item.setCheckState(0, qt.Qt.Checked if head.id in ids else qt.Qt.Unchecked)
        self._tree.blockSignals(False)

    def _fill(self) -> None:
        self._tree.clear()
        groups = grouped(self._heads)
        for name, members in groups.items():
            parent = self._group(name) if len(groups) > 1 else self._tree.invisibleRootItem()
            for head in members:
                parent.addChild(_row(head))
        self._tree.rootIsDecorated = len(groups) > 1
        self._tree.expandAll()

    def _group(self, name: str) -> Any:
        item = qt.QTreeWidgetItem()
        item.setText(0, name)
        item.setFlags(qt.Qt.ItemIsEnabled | qt.Qt.ItemIsUserCheckable | qt.Qt.ItemIsAutoTristate)
        self._tree.addTopLevelItem(item)
        return item

    def _items(self) -> Iterator[tuple[KnownStructure, Any]]:
        """Yield each head with its row."""
        known = {head.id: head for head in self._heads}
        root = self._tree.invisibleRootItem()
        for place in range(root.childCount()):
            top = root.child(place)
            rows = [top.child(index) for index in range(top.childCount())] or [top]
            for row in rows:
                yield known[row.data(0, qt.Qt.UserRole)], row

    def _filter(self, text: str) -> None:
        """Show the heads that a search is about."""
        for head, row in self._items():
            row.setHidden(not head.matches(text))
            if row.parent() is not None:
                group = row.parent()
                group.setHidden(all(group.child(index).isHidden() for index in range(group.childCount())))

    def _checkShown(self, checked: bool) -> None:
        self._tree.blockSignals(True)
        for _head, row in self._items():
            if not row.isHidden():
                row.setCheckState(0, qt.Qt.Checked if checked else qt.Qt.Unchecked)
        self._tree.blockSignals(False)
        self._tell()

    def _tell(self, *_args: object) -> None:
        self._changed({head.id for head, row in self._items() if row.checkState(0) == qt.Qt.Unchecked})


def square(color: tuple[int, int, int]) -> Any:
    """Return an icon of one colour."""
    picture = qt.QPixmap(_SQUARE, _SQUARE)
    picture.fill(qt.QColor(*color))
    icon = qt.QIcon(picture)
    icon.addPixmap(picture, qt.QIcon.Selected)  # or the style would tint it
    return icon


def _row(head: KnownStructure) -> Any:
    row = qt.QTreeWidgetItem()
    row.setFlags(qt.Qt.ItemIsEnabled | qt.Qt.ItemIsUserCheckable)
    row.setData(0, qt.Qt.UserRole, head.id)
    row.setIcon(0, square(head.color))
    row.setText(0, head.name)
    row.setToolTip(0, head.meaning or _("No terminology is known for this name."))
    row.setText(1, "–" if head.dice is None else f"{head.dice:.2f}")
    row.setToolTip(
        1, _("No scan was held out to measure it.") if head.dice is None else _("Mean of the held-out scans.")
    )
    row.setText(2, str(head.scans) if head.scans else "")
    row.setText(3, head.taught)
    for column in (1, 2):
        row.setTextAlignment(column, qt.Qt.AlignRight | qt.Qt.AlignVCenter)
    return row
