"""Slicer asks before it closes while a structure is being taught."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import qt
import slicer
from slicer.i18n import tr as _

from IncrementalSegPanel.State import State

if TYPE_CHECKING:
    from IncrementalSegPanel.Session import Session


class Closing(qt.QObject):
    """Watches the main window for as long as the panel exists; a script or a test has none, and is never asked.

    Args:
        session: Whose work would be interrupted.
    """

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._window = None if slicer.app.testingEnabled() else slicer.util.mainWindow()
        if self._window is not None:
            self._window.installEventFilter(self)

    def stop(self) -> None:
        """Watch no longer."""
        if self._window is not None:
            self._window.removeEventFilter(self)

    def eventFilter(self, _watched: Any, event: Any) -> bool:
        """Keep the window open where a person wants that."""
        if event.type() != qt.QEvent.Close or self._session.state is not State.TEACHING or self._agreed():
            return False
        event.ignore()
        return True

    def _agreed(self) -> bool:
        return slicer.util.confirmOkCancelDisplay(
            _("A structure is being taught. If Slicer closes now, the step is paused; go on with it another time."),
            windowTitle=_("Close Slicer?"),
        )
