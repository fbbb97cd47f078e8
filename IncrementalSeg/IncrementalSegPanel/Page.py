"""The base of all pages: a .ui file, one primary button, and the reason why something is disabled."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import slicer

from IncrementalSegPanel import Fitting

if TYPE_CHECKING:
    from IncrementalSegPanel.Session import Session

RESOURCES = Path(__file__).resolve().parents[1] / "Resources"
"""Icons and .ui files of the module."""


class Page:
    """One page; ``Resources/UI/<class name>.ui`` is how it looks.

    The form has a scroll area ``bodyArea`` and below it a ``footer`` with the primary button, which is always seen.
    A subclass connects its widgets in :meth:`setUp`, shows what the session knows in :meth:`render` and names its
    primary button in :attr:`primary`.

    Args:
        session: What is shown.

    Attributes:
        widget: The page.
        ui: Its named widgets.
        paints: The page is used by painting in Slicer's views, which then have the focus; Ctrl+Enter counts there, too.
    """

    paints = False

    def __init__(self, session: Session) -> None:
        self.session = session
        self.widget = slicer.util.loadUI(str(RESOURCES / "UI" / f"{type(self).__name__}.ui"))
        self.ui = slicer.util.childWidgetVariables(self.widget)
        self._tips: dict[str, str] = {}
        Fitting.yieldWidth(vars(self.ui).values())
        self.setUp()

    @property
    def primary(self) -> Any:
        """The button that Ctrl+Enter presses now, or ``None``."""
        return None

    def setUp(self) -> None:
        """Connect the widgets."""

    def render(self) -> None:
        """Show what the session knows; called after every change while the page is visible."""

    def fit(self) -> None:
        """Let long words be broken; called after each :meth:`render`."""
        Fitting.breakLongWords(vars(self.ui).values())

    def leave(self) -> None:
        """Let go of Slicer's views; called when the page is not shown any more."""

    def toTop(self) -> None:
        """Show the top of what is scrolled."""
        self.ui.bodyArea.verticalScrollBar().value = 0

    def escape(self) -> None:
        """Do what Esc asks for; by default go back to the beginning."""
        if not self.session.state.busy:
            self.session.home()

    def allow(self, widget: Any, obstacle: str = "") -> None:
        """Enable a widget, or disable it and say why in its tooltip.

        Args:
            widget: A named widget of this page.
            obstacle: Why it cannot be used now; empty where it can.
        """
        usual = self._tips.setdefault(widget.objectName, widget.toolTip)
        widget.enabled = not obstacle
        widget.toolTip = obstacle or usual
