"""The uncertain places of one scan: a list, and a map over the scan."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from IncrementalSegLib.errors import IncrementalSegError
from IncrementalSegLib.types import Json
from IncrementalSegPanel.documents.Corrections import Spot
from IncrementalSegPanel.flows.Context import Context
from IncrementalSegPanel.flows.Overlay import Overlay


class SpotList:
    """Go through the spots of a scan.

    Args:
        context: Whose slice views show them.

    Attributes:
        items: The first to be corrected first; ``None`` while unknown.
        chosen: Number of the one that is looked at, from 0; ``None`` while none is.
        pictures: PNG of each spot, as far as they are drawn.
        map: File of the map of uncertainty, or ``None``.
        overlay: The map over the scan.
    """

    items: tuple[Spot, ...] | None
    chosen: int | None
    pictures: tuple[Path, ...]
    map: Path | None

    def __init__(self, context: Context) -> None:
        self._context = context
        self.overlay = Overlay(context)
        self.forget()

    def forget(self, volume: Any = None) -> None:
        """Know nothing, and take the map away.

        Args:
            volume: The scan whose spots come next.
        """
        self.overlay.hide()
        self._volume, self.items, self.chosen, self.map, self.pictures = volume, None, None, None, ()

    def take(self, result: Json) -> None:
        """Take over what the verb ``outline`` found, and draw its spots one after the other."""
        self.items, self.chosen = tuple(Spot.of(item) for item in result["spots"]), None
        self.map, self.pictures = Path(result["outputs"][1]), ()
        items = self.items
        self._context.defer(lambda: self._draw(items))
        if self.overlay.shown:
            self.showMap(True)

    def choose(self, number: int) -> None:
        """Look at a spot, from 0: all slice views show it."""
        assert self.items is not None
        self.chosen = number
        self._context.bridge.jumpTo(self._volume, self.items[number].ras)
        self._context.changed()

    def next(self) -> None:
        """Look at the next spot; after the last comes the first."""
        if self.items:
            self.choose(0 if self.chosen is None else (self.chosen + 1) % len(self.items))

    def showMap(self, shown: bool) -> None:
        """Lay the map of uncertainty over the scan, or take it away."""
        if shown and self.map is not None:
            self.overlay.showUncertainty(self.map, self._volume)
        else:
            self.overlay.hide()
        self._context.changed()

    def _draw(self, items: tuple[Spot, ...]) -> None:
        """Draw the next spot; none once others are listed, or where one cannot be drawn."""
        number = len(self.pictures)
        if items is not self.items or self.map is None or number == len(items):
            return
        path = self.map.with_name(f"spot {number}.png")
        try:
            self._context.bridge.spotPicture(self._volume, items[number].ras, path)
        except (IncrementalSegError, OSError):  # the list says enough without pictures
            return
        self.pictures = (*self.pictures, path)
        self._context.changed()
        self._context.defer(lambda: self._draw(items))
