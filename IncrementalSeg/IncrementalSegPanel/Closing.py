"""Slicer asks before it closes while a structure is being taught."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import qt
import slicer
from slicer.i18n import tr as _

from IncrementalSegPanel.pages.Discard import discard
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
        self._question: Any = None
        self._window = None if slicer.app.testingEnabled() else slicer.util.mainWindow()
        if self._window is not None:
            self._window.installEventFilter(self)
            session.listen(self._follow)

    def stop(self) -> None:
        """Watch no longer."""
        if self._window is not None:
            self._window.removeEventFilter(self)

    def eventFilter(self, _watched: Any, event: Any) -> bool:
        """Keep the window open where a person wants that."""
        if event.type() != qt.QEvent.Close:
            return False
        if self._question is None and (self._session.state is not State.TEACHING or self._agreed()):
            return False
        event.ignore()
        return True

    def _agreed(self) -> bool:
        box = self._question = qt.QMessageBox(self._window)
        box.setIcon(qt.QMessageBox.Question)
        box.setWindowTitle(_("Close Slicer?"))
        box.setStandardButtons(qt.QMessageBox.Ok | qt.QMessageBox.Cancel)
        self._follow()
        try:
            return bool(box.exec_() == qt.QMessageBox.Ok)
        finally:
            self._question = None
            discard(box)

    def _follow(self) -> None:
        """Say in the question what closing means now; the step goes on, and may end, while it is asked."""
        if self._question is None:
            return
        text = {
            State.TEACHING: _(
                "A structure is being taught. If Slicer closes now, the step is paused and can be resumed later."
            ),
            State.COMPARING: _(
                "Teaching is finished, so closing interrupts nothing. Press Cancel to compare "
                "the older structures; the new version waits for your decision."
            ),
        }.get(self._session.state, _("Nothing is being taught, so closing interrupts nothing."))
        if self._question.text != text:
            self._question.text = text
