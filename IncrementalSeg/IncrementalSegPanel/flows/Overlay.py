"""The map of uncertainty over a scan, read while Slicer stays free."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IncrementalSegPanel.Session import Session


class Overlay:
    """Show one map, and hide it again.

    Attributes:
        shown: Whether it is shown, or will be as soon as it has been read.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self.shown = False
        self._reading: Any = None

    def show(self, path: Path, volume: Any) -> None:
        """Lay a map over its scan."""
        self.hide()
        self.shown = True
        reading = self._reading = self._session.bridge.readUncertainty(path, self._session.later)
        reading.listen(lambda: self._heard(reading, volume))

    def hide(self) -> None:
        """Take the map away; the slice views show what they showed before."""
        if self.shown:
            self.shown = False
            self._reading.cancel()
            self._session.bridge.hideUncertainty()
            self._session.changed()

    def _heard(self, reading: Any, volume: Any) -> None:
        if reading is not self._reading or not reading.done or not self.shown:
            return
        try:
            if reading.error is not None:
                raise reading.error
            self._session.bridge.showUncertainty(reading, volume)
        except Exception as error:  # whatever it is, a person shall read it
            self.shown = False
            self._session.fail(error)
        self._session.changed()
