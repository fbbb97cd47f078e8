"""Review the exemplars: a board of pictures with their reasons, what they cover and cost, and the privacy choice."""

from __future__ import annotations

from typing import Any

import qt
from slicer.i18n import tr as _

from IncrementalSegPanel import Fitting
from IncrementalSegPanel.documents.Exemplars import ListedExemplar, ordersSentence
from IncrementalSegPanel.Page import Page
from IncrementalSegPanel.pages.Plots import Chart
from IncrementalSegPanel.scene.Pseudonyms import named
from IncrementalSegPanel.Wording import size

_MOST_LETTERS = 14
"""Of names below a picture; of more structures their number is said."""


class ExemplarsPage(Page):
    """Show what :class:`Reviewing` knows."""

    def setUp(self) -> None:
        """Connect the widgets."""
        ui, flow = self.ui, self.session.reviewing
        self._chart = Chart("coverage", ui.chart)
        self._shown: object = None
        Fitting.reserve(ui.reasonLabel, 4)
        ui.structureCombo.connect("activated(int)", self._filter)
        ui.board.connect("itemSelectionChanged()", self._choose)
        ui.pinButton.connect("clicked()", flow.pin)
        ui.banButton.connect("clicked()", flow.ban)
        ui.scanButton.connect("clicked()", flow.jump)
        ui.budgetButton.connect("clicked()", lambda: flow.limit(ui.budgetSpin.value))
        ui.keepRadio.connect("clicked()", lambda: flow.choosePrivacy(False))
        ui.stripRadio.connect("clicked()", lambda: flow.choosePrivacy(True))
        ui.primaryButton.connect("clicked()", flow.decide)

    @property
    def primary(self) -> Any:
        """Keep these, or remove all."""
        return self.ui.primaryButton

    def render(self) -> None:
        """Show the board, the curve and the choice."""
        self._renderSummary()
        self._renderBoard()
        self._renderChosen()
        self._renderCoverage()
        self._renderChoice()

    def _renderSummary(self) -> None:
        flow, ui = self.session.reviewing, self.ui
        any_ = bool(flow.exemplars)
        if flow.exemplars is None:
            ui.summaryLabel.text = _("Reading…")
        elif not any_:
            ui.summaryLabel.text = _("This model holds no pieces of scans.")
        else:
            used = sum(item.mark != "banned" for item in flow.exemplars)
            ui.summaryLabel.text = _(
                "For rehearsal in later steps, the model keeps {count} pieces of {scans} scans ({size})."
            ).format(count=used, scans=len({item.case for item in flow.exemplars}), size=size(flow.bytes))
        for widget in (ui.structureCombo, ui.filterLabel, ui.board, ui.pinButton, ui.banButton,
                       ui.scanButton, ui.budgetLabel, ui.budgetSpin, ui.budgetButton):  # fmt: skip
            widget.visible = any_

    def _renderBoard(self) -> None:
        flow, ui = self.session.reviewing, self.ui
        names = [_("All"), *flow.structures]
        if [ui.structureCombo.itemText(number) for number in range(ui.structureCombo.count)] != names:
            ui.structureCombo.clear()
            ui.structureCombo.addItems(names)
        ui.structureCombo.currentIndex = names.index(flow.structure) if flow.structure in names else 0
        blocked = ui.board.blockSignals(True)
        wanted = [(item, flow.thumbnails.get(item.id), flow.structure) for item in flow.shown]
        if wanted != self._shown:
            ui.board.clear()
            for item, picture, structure in wanted:
                ui.board.addItem(_tile(item, picture, structure))
            self._shown = wanted
        place = next((number for number, item in enumerate(flow.shown) if item.id == flow.chosen), -1)
        ui.board.setCurrentRow(place)
        ui.board.blockSignals(blocked)

    def _renderChosen(self) -> None:
        flow, ui = self.session.reviewing, self.ui
        item = flow.exemplar
        ui.reasonLabel.visible = bool(flow.exemplars)
        ui.reasonLabel.text = ""
        if item is not None:
            ui.reasonLabel.text = _("{case}, {structures}: {reason}").format(
                case=named(item.case),
                structures=", ".join(item.structures),
                reason=item.reason or _("no reason was stored"),
            )
        ui.pinButton.text = _("Unpin") if item is not None and item.mark == "pinned" else _("Pin")
        ui.banButton.text = _("Lift the ban") if item is not None and item.mark == "banned" else _("Ban and replace")
        for button in (ui.pinButton, ui.banButton):
            self.allow(button, flow.obstacleToMark)
        self.allow(ui.scanButton, flow.obstacleToJump)

    def _renderCoverage(self) -> None:
        flow, ui = self.session.reviewing, self.ui
        shown = [item for item in flow.coverage if flow.structure in ("", item.structure)]
        ui.chart.visible = ui.coverageLabel.visible = bool(shown)
        if shown:
            self._chart.coverage({item.structure: item.curve for item in shown})
            ui.coverageLabel.text = "\n".join([*(item.sentence for item in shown), ordersSentence()])
        self.allow(ui.budgetButton, flow.doing)
        if not ui.budgetSpin.hasFocus():
            ui.budgetSpin.value = flow.budget if flow.budget is not None else len(flow.exemplars or ())

    def _renderChoice(self) -> None:
        flow, ui = self.session.reviewing, self.ui
        ui.privacySection.visible = bool(flow.exemplars)
        ui.keepRadio.checked, ui.stripRadio.checked = not flow.strip, flow.strip
        ui.keepCostLabel.visible, ui.stripCostLabel.visible = not flow.strip, flow.strip
        ui.ledgerLabel.text = "\n".join(flow.ledger)
        ui.savedLabel.visible = bool(flow.saved or flow.doing)
        ui.savedLabel.text = flow.doing or flow.saved
        if not flow.exemplars:
            ui.primaryButton.text = _("Done")
        else:
            ui.primaryButton.text = _("Remove all pieces of scans") if flow.strip else _("Keep these")
        self.allow(ui.primaryButton, flow.doing)

    def _filter(self, number: int) -> None:
        self.session.reviewing.filter("" if number == 0 else self.session.reviewing.structures[number - 1])

    def _choose(self) -> None:
        row = self.ui.board.currentRow
        if row >= 0:
            self.session.reviewing.choose(self.session.reviewing.shown[row].id)


def _tile(item: ListedExemplar, picture: Any, structure: str) -> Any:
    """Return a picture with its mark or rank in words, and its structures."""
    names = ", ".join(item.structures)
    if len(names) > _MOST_LETTERS and len(item.structures) > 1:
        names = _("{} structures").format(len(item.structures))
    text = "\n".join(part for part in (item.standing(structure), names) if part)
    icon = qt.QIcon()
    for mode in (
        (qt.QIcon.Normal, qt.QIcon.Selected) if picture is not None else ()
    ):  # or the style tints the chosen one
        icon.addFile(str(picture), qt.QSize(), mode)  # read when it is first painted
    tile = qt.QListWidgetItem(icon, text)
    tile.setToolTip("\n".join(part for part in (named(item.case), ", ".join(item.structures), item.reason) if part))
    return tile
