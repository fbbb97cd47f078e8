"""The panel: header, notices and the page of the session's state, drawn again when something has changed."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import qt

from IncrementalSegPanel.pages.ModelHeader import ModelHeader
from IncrementalSegPanel.pages.Notices import Notices

if TYPE_CHECKING:
    from IncrementalSegPanel.Page import Page
    from IncrementalSegPanel.Session import Session

_PRIMARY_KEYS = ("Ctrl+Return", "Ctrl+Enter")

_EVERY = 40
"""Milliseconds between a change and its drawing; what changes meanwhile is drawn with it."""


class Panel:
    """Show a session.

    Args:
        session: What is shown.

    Attributes:
        widget: The whole panel.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self.widget = qt.QWidget()
        self.widget.objectName = "IncrementalSegPanel"
        self._header, self._notices = ModelHeader(session), Notices(session)
        self._stack = qt.QStackedWidget()
        self._pages: dict[str, Page] = {}
        layout = qt.QVBoxLayout(self.widget)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._header.widget)
        layout.addWidget(self._notices.widget)
        layout.addWidget(self._stack, 1)
        self._soon = qt.QTimer(self.widget)
        self._soon.setSingleShot(True)
        self._soon.setInterval(_EVERY)
        self._soon.connect("timeout()", self.render)
        self._shortcuts = [self._shortcut(keys, self.pressPrimary) for keys in _PRIMARY_KEYS]
        self._shortcuts.append(self._shortcut("Esc", self.escape))
        self._visible = False
        session.listen(self._changed)

    @property
    def page(self) -> Page:
        """The page of the session's state."""
        name = self.session.state.page
        if name not in self._pages:
            page = getattr(import_module(f"IncrementalSegPanel.pages.{name}"), name)(self.session)
            self._pages[name] = page
            self._stack.addWidget(page.widget)
        return self._pages[name]

    def enter(self) -> None:
        """Become visible."""
        self._visible = True
        self.render()

    def exit(self) -> None:
        """Become invisible; what runs goes on."""
        self._visible = False

    def close(self) -> None:
        """Draw nothing any more."""
        self._visible = False
        self._soon.stop()

    def render(self) -> None:
        """Show what the session knows now."""
        page = self.page
        self._stack.setCurrentWidget(page.widget)
        for part in (self._header, self._notices, page):
            part.render()

    def pressPrimary(self) -> None:
        """Press the primary button of the page, unless it is disabled."""
        button = self.page.primary
        if button is not None and button.enabled:
            button.click()

    def escape(self) -> None:
        """Cancel what the page is about."""
        self.page.escape()

    def _changed(self) -> None:
        if self._visible and not self._soon.active:
            self._soon.start()

    def _shortcut(self, keys: str, act: Any) -> Any:
        shortcut = qt.QShortcut(self.widget)
        shortcut.setKey(qt.QKeySequence(keys))
        shortcut.setContext(qt.Qt.WidgetWithChildrenShortcut)
        shortcut.connect("activated()", act)
        return shortcut
