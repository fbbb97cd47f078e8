"""The map of uncertainty over a scan, read while Slicer stays free."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from IncrementalSegPanel.flows.Context import Context


class Overlay:
    """Show one map, and hide it again.

    Attributes:
        shown: Whether it is shown, or will be as soon as it has been read.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self.shown = False
        self._reading: Any = None

    def show(self, path: Path, volume: Any) -> None:
        """Lay a map over its scan."""
        self.hide()
        self.shown = True
        reading = self._reading = self._context.bridge.readUncertainty(path, self._context.defer)
        reading.listen(lambda: self._heard(reading, volume))

    def hide(self) -> None:
        """Take the map away; the slice views show what they showed before."""
        if self.shown:
            self.shown = False
            self._reading.cancel()
            self._context.bridge.hideUncertainty()
            self._context.changed()

    def _heard(self, reading: Any, volume: Any) -> None:
        if reading is not self._reading or not reading.done or not self.shown:
            return
        try:
            if reading.error is not None:
                raise reading.error
            self._context.bridge.showUncertainty(reading, volume)
        except Exception as error:  # whatever it is, a person has to read it
            self.shown = False
            self._context.fail(error)
        self._context.changed()
