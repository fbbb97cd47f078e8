"""The panel: header, notices and the page of the session's state, drawn again when something has changed."""

from __future__ import annotations

import time
from importlib import import_module
from typing import TYPE_CHECKING, Any

import qt

from IncrementalSegPanel.pages.Discard import discard
from IncrementalSegPanel.pages.ModelHeader import ModelHeader
from IncrementalSegPanel.pages.Notices import Notices

if TYPE_CHECKING:
    from IncrementalSegPanel.Page import Page
    from IncrementalSegPanel.Session import Session
    from IncrementalSegPanel.State import State

_PRIMARY_KEYS = ("Ctrl+Return", "Ctrl+Enter")

_EVERY = 40
"""Milliseconds between a change and its drawing; what changes meanwhile is drawn with it."""


SETTLE = 0.5
"""Seconds after a change of state in which a key is not heard: it was meant for what was shown before."""


class Panel:
    """Show a session.

    Args:
        session: What is shown.
        settle: Seconds; see :data:`SETTLE`.

    Attributes:
        widget: The whole panel.
    """

    def __init__(self, session: Session, settle: float = SETTLE) -> None:
        self.session, self._settle = session, settle
        self._drawn: State | None = None
        self._since = 0.0
        self.widget = qt.QWidget()
        self.widget.objectName = "IncrementalSegPanel"
        self._header, self._notices = ModelHeader(session), Notices(session)
        self._pages: dict[str, Page] = {}
        self._layout = layout = qt.QVBoxLayout(self.widget)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._header.widget)
        self._soon = qt.QTimer(self.widget)
        self._soon.setSingleShot(True)
        self._soon.setInterval(_EVERY)
        self._soon.connect("timeout()", self.render)
        self._primaryKeys = [self._shortcut(keys, self.pressPrimary) for keys in _PRIMARY_KEYS]
        self._shortcuts = [*self._primaryKeys, self._shortcut("Esc", self.escape)]
        self._visible = self._closed = False
        session.listen(self._changed)

    @property
    def page(self) -> Page:
        """The page of the session's state."""
        name = self.session.state.page
        if name not in self._pages:
            page = getattr(import_module(f"IncrementalSegPanel.pages.{name}"), name)(self.session)
            self._pages[name] = page
            page.widget.hide()
            self._layout.addWidget(page.widget, 1)
        return self._pages[name]

    def enter(self) -> None:
        """Become visible."""
        self._visible = True
        self.render()

    def exit(self) -> None:
        """Become invisible; what runs goes on."""
        self._visible = False
        self.rest()

    def rest(self) -> None:
        """Let go of Slicer's views, until the panel is drawn again."""
        for page in self._pages.values():
            if not page.widget.isHidden():
                page.leave()

    def close(self) -> None:
        """Draw nothing any more, and go: Slicer only hides a panel that it reloads, and its lists would act on."""
        self._visible = False
        if not self._closed:  # Slicer may say it twice
            self._closed = True
            self._soon.stop()
            self.rest()
            discard(self.widget, self)

    def render(self) -> None:
        """Show what the session knows now."""
        page = self.page
        begins = page.widget.isHidden()
        if begins:
            page.widget.layout().insertWidget(1, self._notices.widget)  # above the buttons: nothing clickable moves
        if self.session.state is not self._drawn:
            self._drawn, self._since = self.session.state, time.monotonic()
        for other in self._pages.values():  # a stack would be as tall as the tallest page
            if other is not page and not other.widget.isHidden():
                other.leave()
            other.widget.visible = other is page
        for part in (self._header, self._notices, page):
            part.render()
            part.fit()
        if begins:
            page.toTop()
            for shortcut in self._primaryKeys:
                shortcut.setContext(qt.Qt.ApplicationShortcut if page.paints else qt.Qt.WidgetWithChildrenShortcut)

    def pressPrimary(self) -> None:
        """Press the primary button of the page, unless it is disabled or has only just appeared."""
        if self.session.state is not self._drawn or time.monotonic() - self._since < self._settle:
            return
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
        shortcut.autoRepeat = False  # a key that is held down would go on to the next page
        shortcut.setContext(qt.Qt.WidgetWithChildrenShortcut)
        shortcut.connect("activated()", act)
        return shortcut
