"""Correct a scan by strokes where the model is unsure, and let it learn from them."""

from __future__ import annotations

from typing import Any

import qt
from slicer.i18n import tr as _

from IncrementalSegPanel import Fitting
from IncrementalSegPanel.flows.CorrectionSession import PROPAGATE_ONLY
from IncrementalSegPanel.Page import Page
from IncrementalSegPanel.pages.StrokeEditor import StrokeEditor
from IncrementalSegPanel.pages.Table import Table

_SPOTS = 3
"""Spots that are seen at once, so that the editor below is seen, too."""
_SCANS = 12
"""Scans that are seen at once where none is being corrected."""
_PICTURE = 32
"""Pixels."""
_STEPS = 1000
"""Steps of the progress bar."""


class CorrectPage(Page):
    """The page of the state correcting."""

    paints = True

    def setUp(self) -> None:
        """Connect the widgets."""
        ui, flow = self.ui, self.session.correcting
        self._flow = flow
        self._editor = StrokeEditor(ui.strokesHolder)
        self._wide = Fitting.AsWideAsContents(ui.bodyArea)
        self._methods: tuple[str, ...] | None = None
        titles = ("#", _("In question"), _("Size"))
        self._spots = Table(ui.spotsTable, titles, 1, flow.spots.choose, most=_SPOTS)
        ui.spotsTable.setIconSize(qt.QSize(_PICTURE, _PICTURE))
        self._queue = Table(ui.scansTable, (_("Scan"), _("Worth")), 0, flow.goTo, most=_SPOTS)
        titles = (_("Scan"), _("Rounds"), _("Painted"), _("First"), _("Now"))
        self._scans = Table(ui.sessionTable, titles, 0, lambda _number: None)
        for button, act in (
            (ui.nextButton, flow.spots.next),
            (ui.refineButton, flow.refine),
            (ui.cancelButton, flow.cancel),
            (ui.leaveButton, flow.leave),
            (ui.rankButton, flow.queue.rank),
            (ui.undoButton, flow.undo),
            (ui.doneButton, flow.done),
            (ui.keepButton, flow.session.keep),
            (ui.backButton, flow.session.lookBack),
            (ui.discardButton, flow.session.confirm),
            (ui.discardYesButton, flow.session.discard),
            (ui.discardNoButton, self._keepOn),
        ):
            button.connect("clicked()", act)
        ui.mapButton.connect("clicked(bool)", flow.spots.showMap)
        ui.methodCombo.connect("activated(int)", flow.session.choose)

    @property
    def primary(self) -> Any:
        """Refine, or cancel what is done."""
        return self.ui.cancelButton if self._flow.waiting else self.ui.refineButton

    def escape(self) -> None:
        """Give up a round that runs; else leave."""
        self._flow.escape()

    def render(self) -> None:
        """Show the scan, its spots and the session."""
        ui, flow = self.ui, self._flow
        ui.titleLabel.text = _("Correct and learn") if flow.title == "" else _("Correct {}").format(flow.title)
        ui.statusLabel.text = flow.session.status.sentence
        ui.scanFrame.visible = flow.volume is not None
        self._renderMethods()
        self._renderSpots()
        self._renderQueue()
        self._renderSession()
        self._renderFooter()
        parameters = None if flow.strokes is None else self.session.bridge.strokes.editorNode()
        self._editor.show(parameters, flow.strokes, flow.volume)

    def leave(self) -> None:
        """Let clicks in the views belong to Slicer again."""
        self._editor.rest()

    def _renderMethods(self) -> None:
        ui, session = self.ui, self._flow.session
        ui.methodCombo.blockSignals(True)
        if self._methods != session.choices:
            self._methods = session.choices
            ui.methodCombo.clear()
            for name in session.choices:
                ui.methodCombo.addItem(_("nothing: only spread strokes") if name == PROPAGATE_ONLY else name)
        ui.methodCombo.currentIndex = session.choices.index(session.method)
        ui.methodCombo.blockSignals(False)
        self.allow(ui.methodCombo, self._flow.waiting)

    def _renderSpots(self) -> None:
        ui, spots = self.ui, self._flow.spots
        items = spots.items or ()
        ui.spotsTable.visible = bool(items)
        icons = [qt.QIcon(str(path)) for path in spots.pictures]
        icons += [None] * (len(items) - len(icons))
        rows = [
            ((icon, str(number)), spot.question, spot.size)
            for number, (icon, spot) in enumerate(zip(icons, items, strict=True), 1)
        ]
        self._spots.show(rows, spots.chosen, [spot.reason for spot in items])
        if self._flow.searching and spots.items is None:
            ui.spotsLabel.text = _("Uncertain places are being looked for; you can paint already.")
        elif spots.items is None:
            ui.spotsLabel.text = _("Uncertain places are not known.")
        elif items:
            ui.spotsLabel.text = _("Uncertain places:")
        else:
            ui.spotsLabel.text = _("No place is uncertain. Look at the rest of the scan, too.")
        self.allow(ui.nextButton, "" if items else _("There is no uncertain place."))
        self.allow(ui.mapButton, "" if spots.map is not None else _("The map is not computed yet."))
        ui.mapButton.checked = bool(spots.overlay.shown)

    def _renderQueue(self) -> None:
        ui, flow = self.ui, self._flow
        rows = flow.queue.rows
        ui.scansSection.visible = flow.volume is None or len(rows) > 1
        ui.scansLabel.visible = flow.volume is None
        ui.scansLabel.text = _("Choose the scan to be corrected.") if rows else _("Load a scan first.")
        ui.scansTable.visible, ui.rankButton.visible = bool(rows), len(rows) > 1
        chosen = next((number for number, row in enumerate(rows) if row.volume is flow.volume), None)
        cells = [(row.name, row.worth) for row in rows]
        self._queue.limit(_SCANS if flow.volume is None else _SPOTS)
        self._queue.show(cells, chosen, [row.reason or row.name for row in rows])
        for widget in (ui.scansTable, ui.rankButton):
            self.allow(widget, flow.waiting)

    def _renderSession(self) -> None:
        ui, session = self.ui, self._flow.session
        scans = session.status.scans
        ui.sessionSection.visible = ui.keepButton.visible = bool(scans)
        rows = [
            (
                session.names.get(scan.name, scan.name),
                str(scan.rounds),
                str(scan.voxels),
                _dice(scan.agreement),
                _dice(session.back.get(scan.name)),
            )
            for scan in scans
        ]
        self._scans.show(rows, None)
        ui.discardFrame.visible = session.asking
        ui.discardLabel.text = _("Forget what was learned from {}? The version in use has not changed.").format(
            _("1 scan") if len(scans) == 1 else _("{} scans").format(len(scans))
        )
        for button in (ui.backButton, ui.discardButton, ui.discardYesButton):
            self.allow(button, session.obstacle)

    def _renderFooter(self) -> None:
        ui, flow = self.ui, self._flow
        shown = flow.queue if flow.queue.phase else flow
        ui.progressFrame.visible = bool(shown.phase)
        ui.progressLabel.text = shown.progressText
        ui.progressBar.setRange(0, 0 if shown.fraction is None else _STEPS)
        ui.progressBar.value = 0 if shown.fraction is None else round(_STEPS * shown.fraction)
        ui.refineButton.visible, ui.cancelButton.visible = not flow.waiting, bool(flow.waiting)
        self.allow(ui.refineButton, flow.obstacle)
        self.allow(ui.undoButton, flow.obstacleToUndo)
        ui.doneButton.text = _("Done") if flow.queue.next(flow.volume) is None else _("Done, next scan")
        self.allow(ui.doneButton, flow.waiting)
        self.allow(ui.leaveButton, flow.waiting)
        self.allow(ui.keepButton, flow.session.obstacle)

    def _keepOn(self) -> None:
        self._flow.session.confirm(False)


def _dice(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
