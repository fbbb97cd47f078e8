"""Compare a version with the one before: verdict, chart, table, slices; accept it or not; the list of all versions."""

from __future__ import annotations

from typing import Any

import qt
from slicer.i18n import tr as _

from IncrementalSegPanel.documents.Lineage import Version
from IncrementalSegPanel.documents.Retention import RetentionRow
from IncrementalSegPanel.Page import RESOURCES, Page
from IncrementalSegPanel.pages.Plots import Chart
from IncrementalSegPanel.pages.SideBySide import SideBySide
from IncrementalSegPanel.pages.Table import Cell, Table
from IncrementalSegPanel.scene.Pseudonyms import named

_ICONS = {"harmed": "Harm", "unsure": "Warning", "proxy": "Warning"} | dict.fromkeys(
    ("kept", "improved", "guaranteed", "nothing"), "Ok"
)
_ICON = 24
"""Pixels."""


class ComparePage(Page):
    """Show what :class:`Comparing` knows."""

    def setUp(self) -> None:
        """Connect the widgets."""
        ui, flow = self.ui, self.session.comparing
        self._chart = Chart("retention", ui.chart)
        self._listing = False
        self._pictures = SideBySide(ui, self.widget)
        titles = ("#", _("Structure"), _("Verdict"), _("Dice"), _("Points"))
        self._rows = Table(ui.rowsTable, titles, 1, flow.choose, broken=(2, 4))
        titles = ("#", _("What it did"), _("Date"), _("Status"))
        self._versions = Table(ui.versionsTable, titles, 1, flow.showNth)
        ui.nextButton.connect("clicked()", flow.next)
        ui.scanButton.connect("clicked()", flow.jump)
        ui.consentCheck.connect("clicked(bool)", flow.agree)
        ui.primaryButton.connect("clicked()", flow.decide)
        ui.keepButton.connect("clicked()", flow.leave)
        ui.discardButton.connect("clicked()", lambda: flow.ask(True))
        ui.discardYesButton.connect("clicked()", flow.discard)
        ui.discardNoButton.connect("clicked()", lambda: flow.ask(False))
        ui.longerButton.connect("clicked()", lambda: flow.repeat(True))
        ui.otherwiseButton.connect("clicked()", lambda: flow.repeat(False))

    @property
    def primary(self) -> Any:
        """Accept, go back to, or leave, as the version's status asks for."""
        return self.ui.primaryButton

    def escape(self) -> None:
        """Ask no longer whether to discard; else leave the version as it is."""
        if self.session.comparing.asking:
            self.session.comparing.ask(False)
        else:
            self.session.comparing.leave()

    def render(self) -> None:
        """Show the version, its report and all versions."""
        self._renderVerdict()
        self._renderRows()
        self._renderPicture()
        self._renderDecision()
        self._renderVersions()

    def _renderVerdict(self) -> None:
        flow, ui = self.session.comparing, self.ui
        parts = [_("Version {number}").format(number=flow.number)]
        if flow.version is not None:
            parts += [flow.version.done, flow.version.standing]
        ui.titleLabel.text = " · ".join(parts)
        report = flow.report
        ui.verdictIcon.visible = report is not None
        ui.verdictLabel.text = _("Reading the report…") if report is None else report.sentence
        said = [flow.learned, report.tally if report is not None and len(report.rows) > 1 else ""]
        ui.tallyLabel.text = "\n".join(filter(None, said))
        ui.tallyLabel.visible = any(said)
        if report is not None:
            ui.verdictIcon.setPixmap(_icon(report.mark).pixmap(_ICON, _ICON))

    def _renderRows(self) -> None:
        flow, ui = self.session.comparing, self.ui
        rows = () if flow.report is None else flow.report.rows
        ui.rowsTable.visible = bool(rows)
        chosen = next((number for number, row in enumerate(rows) if row.structure == flow.chosen), None)
        self._rows.show(
            [_cells(number, row) for number, row in enumerate(rows, 1)], chosen, [named(row.reason) for row in rows]
        )
        measured = [
            (number, row.structure, row.before, row.after)
            for number, row in enumerate(rows, 1)
            if row.before is not None and row.after is not None
        ]
        ui.chart.visible = bool(measured)
        if measured:
            self._chart.bars(*zip(*measured, strict=True))

    def _renderPicture(self) -> None:
        flow, ui = self.session.comparing, self.ui
        row, picture = flow.row, flow.picture
        ui.detailFrame.visible = row is not None
        ui.reasonLabel.text = "" if row is None else named(row.reason)
        ui.caseLabel.text = named(flow.pictureTitle)
        for widget in (ui.caseLabel, ui.nextButton, ui.scanButton):
            widget.visible = picture is not None
        self._pictures.show(picture)
        self.allow(ui.nextButton, flow.obstacleToNext)
        self.allow(ui.scanButton, flow.obstacleToJump)

    def _renderDecision(self) -> None:
        flow, ui = self.session.comparing, self.ui
        for widget in (ui.consentLabel, ui.consentCheck):
            widget.visible = bool(flow.held)
        ui.consentLabel.text = _("Held back because of {names}.").format(names=", ".join(flow.held))
        ui.consentCheck.checked = flow.consent
        ui.primaryButton.text = {
            "candidate": _("Accept as version {number}"),
            "rejected": _("Accept as version {number}"),
            "accepted": _("Go back to version {number}"),
        }.get(flow.status, _("Done")).format(number=flow.number)
        self.allow(ui.primaryButton, flow.obstacleToDecide)
        ui.discardFrame.visible = flow.asking
        ui.discardLabel.text = _(
            "Discard version {number}? The version in use stays in use, and this one stays in the list."
        ).format(number=flow.number)
        ui.discardButton.visible = flow.status == "candidate"
        ui.longerButton.visible = flow.undecided
        for button in (ui.keepButton, ui.otherwiseButton):  # they need a version in use
            button.visible = flow.undecided and self.session.model is not None
        for button in (ui.keepButton, ui.discardButton, ui.discardYesButton):
            self.allow(button, flow.doing)
        for button in (ui.longerButton, ui.otherwiseButton):
            self.allow(button, flow.obstacleToRepeat)

    def _renderVersions(self) -> None:
        flow, ui = self.session.comparing, self.ui
        cells = [[str(item.number), item.done, item.date, _standing(item)] for item in flow.lineage]
        chosen = next((number for number, item in enumerate(flow.lineage) if item.number == flow.number), None)
        self._versions.show(cells, chosen, [item.reason for item in flow.lineage])
        ui.versionsSection.visible = bool(cells)
        if flow.listing != self._listing:  # else a person folds it
            self._listing = flow.listing
            ui.versionsSection.collapsed = not flow.listing
        ui.differencesLabel.text = "\n".join(flow.differences)


def _cells(number: int, row: RetentionRow) -> list[Cell]:
    return [str(number), row.structure, (_icon(row.fate), row.verdict), row.dice, row.change]


def _standing(version: Version) -> Cell:
    return (_icon("harmed"), version.standing) if version.held else version.standing


def _icon(mark: str) -> Any:
    return qt.QIcon(str(RESOURCES / "Icons" / f"{_ICONS[mark]}.png"))
