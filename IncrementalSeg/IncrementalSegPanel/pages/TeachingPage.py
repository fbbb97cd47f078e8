"""Watch a step: where it is, how good the new structure is so far, what the old ones lose; and stop it."""

from __future__ import annotations

from typing import Any

import qt
from slicer.i18n import tr as _

from IncrementalSegPanel.flows.Learning import PHASES
from IncrementalSegPanel.Page import Page
from IncrementalSegPanel.pages.Plots import Chart
from IncrementalSegPanel.scene.Pseudonyms import named
from IncrementalSegPanel.Wording import duration, phaseWords, signed

_PICTURE = 240
"""Pixels."""


class TeachingPage(Page):
    """The page of the state teaching."""

    def setUp(self) -> None:
        """Connect the widgets."""
        ui = self.ui
        self._flow = flow = self.session.teaching.learning
        self._chart = Chart("learning", ui.chart)
        ui.stopButton.connect("clicked()", flow.askStop)
        ui.onButton.connect("clicked()", self._goOn)
        ui.keepButton.connect("clicked()", self._keep)
        ui.pauseButton.connect("clicked()", self._pause)
        ui.discardButton.connect("clicked()", flow.askDiscard)
        ui.sureButton.connect("clicked()", self._discard)
        ui.notButton.connect("clicked()", self._goOn)

    @property
    def primary(self) -> Any:
        """Stop, or the first answer to how."""
        flow = self._flow
        return self.ui.notButton if flow.confirming else self.ui.keepButton if flow.asking else self.ui.stopButton

    def render(self) -> None:
        """Show where the step is."""
        ui, flow = self.ui, self._flow
        ui.titleLabel.text = _("Teaching {}").format(flow.title)
        words = [f"<b>{phaseWords(one)}</b>" if one is flow.phase else phaseWords(one) for one in PHASES]
        ui.phaseLabel.text = " · ".join(words)
        ui.progressBar.value = round(100 * flow.fraction)
        ui.progressBar.format = "%p %" if flow.left is None else _("{} left").format(duration(flow.left))
        self._renderNumbers()
        self._renderPicture()
        ui.freeLabel.visible = not flow.wish
        ui.stopButton.visible = not flow.asking
        ui.stopFrame.visible = flow.asking and not flow.confirming
        ui.discardFrame.visible = flow.confirming
        self.allow(ui.stopButton, _WISHES.get(flow.wish, ""))
        ui.stopButton.text = _WISHES.get(flow.wish, _("Stop…"))

    def escape(self) -> None:
        """Ask how to stop, or ask no more."""
        self._flow.askStop(not self._flow.asking)

    def _renderNumbers(self) -> None:
        ui, flow = self.ui, self._flow
        latest = flow.latestDice
        none = _("not measured yet") if flow.preview is None else _("not measured: no scan is held out")
        ui.diceValue.text = ", ".join(f"{value:.2f}" for value in latest.values()) or none
        for part in (ui.changeLabel, ui.changeValue):
            part.visible = bool(flow.changes)
        if flow.changes:
            __, points, name = flow.changes[-1]
            ui.changeValue.text = _("{} points ({})").format(signed(points), name)
        for part in (ui.memoryLabel, ui.memoryValue):
            part.visible = bool(flow.memory)
        ui.memoryValue.text = flow.memory
        series = {_("Dice of {}").format(name): points for name, points in flow.dice.items()}
        if flow.changes:
            worst = [(share, points / 100) for share, points, __ in flow.changes]
            series[_("worst change of an older structure")] = worst
        ui.chart.visible = bool(series)
        if series:
            lowest = min(value for points in series.values() for __, value in points)
            ranges = {"xRange": (0.0, 1.0), "yRange": (min(-0.1, lowest - 0.05), 1.0)}
            self._chart.curve(series, _("share of the learning done"), _("Dice"), **ranges)

    def _renderPicture(self) -> None:
        ui, preview = self.ui, self._flow.preview
        picture = qt.QPixmap() if preview is None else qt.QPixmap(str(preview[0]))
        for part in (ui.pictureLabel, ui.captionLabel):
            part.visible = not picture.isNull()
        if preview is None or picture.isNull():
            return
        ui.pictureLabel.setPixmap(picture.scaled(_PICTURE, _PICTURE, qt.Qt.KeepAspectRatio, qt.Qt.SmoothTransformation))
        ui.captionLabel.text = named(preview[1])

    def _goOn(self) -> None:
        self._flow.askStop(False)

    def _keep(self) -> None:
        self._flow.stop("keep")

    def _pause(self) -> None:
        self._flow.stop("pause")

    def _discard(self) -> None:
        self._flow.stop("discard")


_WISHES = {
    "keep": _("Stopping: what is learned is kept"),
    "pause": _("Pausing"),
    "discard": _("Discarding"),
}
