"""Two pictures of one slice, before and after: beside each other, or in turn at the same place."""

from __future__ import annotations

from typing import Any

import qt
from slicer.i18n import tr as _

from IncrementalSegPanel.documents.Pictures import Picture

_SIDE = 150
"""Pixels: two pictures beside each other fit a narrow dock."""

_TURN = 600
"""Milliseconds for which each picture is shown."""


class SideBySide:
    """Show a pair of pictures.

    Args:
        ui: The named widgets of the page: captions and labels for pictures, and the button for taking turns.
        owner: Widget of the page.
    """

    def __init__(self, ui: Any, owner: Any) -> None:
        self._ui = ui
        self._picture: Picture | None = None
        self._turned = False
        self._timer = qt.QTimer(owner)
        self._timer.setInterval(_TURN)
        self._timer.connect("timeout()", self._turn)
        ui.flickerButton.connect("toggled(bool)", self._flicker)

    def show(self, picture: Picture | None) -> None:
        """Show a pair, or nothing."""
        self._picture = picture
        if picture is None:
            self._timer.stop()
        for widget in (self._ui.beforeCaption, self._ui.beforePicture, self._ui.legendLabel, self._ui.flickerButton):
            widget.visible = picture is not None
        flickering = self._ui.flickerButton.checked
        for widget in (self._ui.afterCaption, self._ui.afterPicture):
            widget.visible = picture is not None and not flickering
        if picture is None:
            return
        pair = [(_("before"), picture.before, picture.diceBefore), (_("after"), picture.after, picture.diceAfter)]
        places = [(self._ui.beforeCaption, self._ui.beforePicture), (self._ui.afterCaption, self._ui.afterPicture)]
        side = 2 * _SIDE if flickering else _SIDE
        for (caption, label), (when, path, dice) in zip(places, pair[::-1] if self._turned else pair, strict=True):
            caption.text = when if dice is None else _("{when}: Dice {dice:.2f}").format(when=when, dice=dice)
            pixmap = qt.QPixmap(str(path))
            if not pixmap.isNull():
                label.setPixmap(pixmap.scaled(side, side, qt.Qt.KeepAspectRatio, qt.Qt.SmoothTransformation))

    def _flicker(self, on: bool) -> None:
        self._turned = False
        if on:
            self._timer.start()
        else:
            self._timer.stop()
        self.show(self._picture)

    def _turn(self) -> None:
        self._turned = not self._turned
        self.show(self._picture)
