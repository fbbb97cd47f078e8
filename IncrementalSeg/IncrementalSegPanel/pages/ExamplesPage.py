"""Say what a structure is called, and choose the outlined scans that show it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ctk
import slicer
from slicer.i18n import tr as _

from IncrementalSegPanel.flows.Collecting import RECOMMENDED
from IncrementalSegPanel.flows.Opening import works
from IncrementalSegPanel.Page import Page
from IncrementalSegPanel.pages.ExampleRows import ExampleRows
from IncrementalSegPanel.pages.HeadsTree import square
from IncrementalSegPanel.scene.Terminology import nameOf


class ExamplesPage(Page):
    """The page of the state collecting examples."""

    def setUp(self) -> None:
        """Connect the widgets."""
        ui, flow, teaching = self.ui, self.session.teaching.collecting, self.session.teaching
        self._flow = flow
        self._rows = ExampleRows(ui.rowsWidget, flow)
        self._color: object = None
        self._navigator: Any = None
        self._outlines: tuple[str, ...] | None = None
        ui.folderEdit.filters = ctk.ctkPathLineEdit.Dirs
        ui.sourceCombo.addItem(_("Segmentations in the scene"))
        ui.sourceCombo.addItem(_("A folder of outlined scans"))
        ui.nameEdit.connect("textEdited(QString)", flow.setName)
        ui.codesButton.connect("toggled(bool)", self._showCodes)
        ui.useCodeButton.connect("clicked()", self._useCode)
        ui.improveButton.connect("clicked()", flow.improveKnown)
        ui.sourceCombo.connect("currentIndexChanged(int)", self._chooseSource)
        ui.refreshButton.connect("clicked()", flow.refresh)
        ui.folderEdit.connect("currentPathChanged(QString)", self._openFolder)
        ui.outlineCombo.connect("currentIndexChanged(int)", self._chooseOutline)
        ui.allBox.connect("toggled(bool)", flow.tickAll)
        ui.backButton.connect("clicked()", teaching.leave)
        ui.continueButton.connect("clicked()", teaching.toSummary)

    @property
    def primary(self) -> Any:
        """Continue."""
        return self.ui.continueButton

    def render(self) -> None:
        """Show name, source and rows."""
        ui, flow = self.ui, self._flow
        ui.titleLabel.text = _("Improve {}").format(flow.name) if flow.improve else _("Teach a new structure")
        self._renderName()
        self._renderSource()
        self._rows.render()
        ui.emptyLabel.text = flow.emptiness
        ui.emptyLabel.visible = bool(flow.emptiness)
        ui.rowsWidget.visible = bool(flow.rows)
        ui.allBox.visible = len(flow.rows) > 1
        ui.allBox.blockSignals(True)
        ui.allBox.checked = bool(flow.rows) and all(row.ticked for row in flow.rows if not flow.refusal(row))
        ui.allBox.blockSignals(False)
        ui.countBar.maximum = RECOMMENDED
        ui.countBar.value = min(flow.count, RECOMMENDED)
        ui.countBar.format = _("{} chosen, {} or more recommended").format(flow.count, RECOMMENDED)
        self.allow(ui.continueButton, flow.obstacle)

    def escape(self) -> None:
        """Show the terminology no longer, or go back to the beginning."""
        if self.ui.codesButton.checked:
            self.ui.codesButton.checked = False
        else:
            self.session.teaching.leave()

    def _renderName(self) -> None:
        ui, flow = self.ui, self._flow
        if ui.nameEdit.text != flow.name:
            ui.nameEdit.text = flow.name
        if self._color != flow.color:
            self._color = flow.color
            ui.colorLabel.setPixmap(square(flow.color).pixmap(16, 16))
        meaning = nameOf(flow.terminology or "")
        code = (flow.terminology or "").split("~")
        if meaning:
            ui.codeLabel.text = _("Code: {} ({})").format(meaning, _code(code))
        elif flow.name.strip():
            ui.codeLabel.text = _("No code is known for this name; it can be taught anyway.")
        ui.codeLabel.visible = bool(flow.name.strip())
        ui.knownFrame.visible = bool(flow.known) and not flow.improve
        ui.knownLabel.text = _("The model already knows {}.").format(flow.known)

    def _renderSource(self) -> None:
        ui, flow = self.ui, self._flow
        ui.sourceCombo.blockSignals(True)
        ui.sourceCombo.currentIndex = int(flow.fromFolder)
        ui.sourceCombo.blockSignals(False)
        ui.refreshButton.visible = not flow.fromFolder
        ui.folderFrame.visible = flow.fromFolder
        ui.checkBar.visible = flow.fraction is not None
        ui.checkBar.format = _("Checking the scans")
        ui.checkBar.value = round(100 * (flow.fraction or 0.0))
        several = len(flow.labels) > 1
        for part in (ui.outlineLabel, ui.outlineCombo):
            part.visible = several
        ui.outlineCombo.blockSignals(True)
        if self._outlines != flow.labels:
            self._outlines = flow.labels
            ui.outlineCombo.clear()
            for text in (_("Which outline?"), *flow.labels):
                ui.outlineCombo.addItem(text)
        ui.outlineCombo.currentIndex = flow.labels.index(flow.label) + 1 if flow.label in flow.labels else 0
        ui.outlineCombo.blockSignals(False)

    def _showCodes(self, shown: bool) -> None:
        if shown and self._navigator is None:  # it reads long lists, so not before somebody asks for it
            self._navigator = slicer.qSlicerTerminologyNavigatorWidget()
            self._navigator.overrideSectionVisible = False
            self._navigator.connect("typeDoubleClicked()", self._useCode)
            self._navigator.connect("selectionValidityChanged(bool)", self._allowCode)
            self._allowCode(False)
            self.ui.codesFrame.layout().insertWidget(0, self._navigator)
        self.ui.codesFrame.visible = shown
        entry, logic = slicer.vtkSlicerTerminologyEntry(), slicer.modules.terminologies.logic()
        known = self._flow.terminology
        if shown and known and logic.DeserializeTerminologyEntry(known, entry):
            self._navigator.setTerminologyEntry(entry)

    def _allowCode(self, valid: bool) -> None:
        self.allow(self.ui.useCodeButton, "" if valid else _("Choose an entry of the list first."))

    def _useCode(self) -> None:
        entry, logic = slicer.vtkSlicerTerminologyEntry(), slicer.modules.terminologies.logic()
        if not self._navigator.terminologyEntry(entry):
            return
        serialized = logic.SerializeTerminologyEntry(entry)
        color = self._navigator.recommendedColorFromTerminology(entry)
        self._flow.setTerminology(nameOf(serialized), serialized, (color.red(), color.green(), color.blue()))
        self.ui.codesButton.checked = False

    def _chooseSource(self, index: int) -> None:
        if index == 0:
            self._flow.useScene()
        else:
            self._openFolder(self.ui.folderEdit.currentPath)

    def _openFolder(self, path: str) -> None:
        self._flow.useFolder(Path(path) if path and works(Path(path).is_dir) else None)

    def _chooseOutline(self, index: int) -> None:
        self._flow.setLabel(self._flow.labels[index - 1] if index > 0 else "")


def _code(entry: list[str]) -> str:
    """Return the code that says most of a serialised entry: of the region, else of the type."""
    kind, region = (entry[part].split("^") for part in (2, 5))
    return " ".join((region if region[1:2] != [""] and region[0] else kind)[:2])
