"""The content of a folder of another program, before it becomes a model."""

from __future__ import annotations

from typing import Any

import qt
from slicer.i18n import tr as _

from IncrementalSegPanel.documents.Heads import KnownStructure
from IncrementalSegPanel.Page import Page
from IncrementalSegPanel.pages.HeadsTree import square


class AdoptPage(Page):
    """The page of the state adopting a model."""

    def setUp(self) -> None:
        """Connect the widgets."""
        ui, self._flow = self.ui, self.session.adopting
        self._names: list[str] = []
        self._heads: tuple[KnownStructure, ...] = ()
        ui.networksCombo.connect("activated(int)", self._choose)
        ui.structuresList.connect("itemChanged(QListWidgetItem*)", self._rename)
        ui.nameEdit.connect("textEdited(QString)", self._flow.setName)
        ui.nameEdit.connect("returnPressed()", self._flow.adopt)
        ui.adoptButton.connect("clicked()", self._flow.adopt)
        ui.cancelButton.connect("clicked()", self.escape)

    @property
    def primary(self) -> Any:
        """Adopt."""
        return self.ui.adoptButton

    def render(self) -> None:
        """Show what was read, or how far the reading is."""
        ui, flow = self.ui, self._flow
        ui.titleLabel.text = _("Adopt {}").format(flow.folder.name)
        ui.titleLabel.toolTip = str(flow.folder)
        ui.phaseLabel.visible = ui.progressBar.visible = bool(flow.phase)
        ui.phaseLabel.text = flow.progressText
        ui.progressBar.setRange(0, 100 if flow.fraction else 0)  # a single fold has no share that is read
        ui.progressBar.value = round(100 * (flow.fraction or 0))
        self._renderNetworks()
        network = flow.network
        for widget in (ui.foundLabel, ui.outlinesLabel, ui.structuresList, ui.nameLabel, ui.nameEdit):
            widget.visible = network is not None
        if network is not None:
            ui.foundLabel.text = "\n".join(network.sentences)
            ui.outlinesLabel.text = network.outlines
            self._fill(flow.heads)
        if ui.nameEdit.text != flow.name:
            ui.nameEdit.text = flow.name
        self.allow(ui.nameEdit, _("Wait until this is done, or cancel it.") if flow.phase else "")
        self.allow(ui.adoptButton, flow.obstacle)

    def escape(self) -> None:
        """Cancel, and go back."""
        self._flow.leave()

    def _renderNetworks(self) -> None:
        ui, flow, names = self.ui, self._flow, list(self._flow.networks)
        ui.networksFrame.visible = len(names) > 1
        if names != self._names:
            self._names = names
            ui.networksCombo.clear()
            for name in names:
                ui.networksCombo.addItem(name)
        ui.networksCombo.currentIndex = names.index(flow.chosen) if flow.chosen in names else -1
        self.allow(ui.networksCombo, _("Wait until this is done, or cancel it.") if flow.phase else "")

    def _choose(self, index: int) -> None:
        self._flow.choose(self._names[index])

    def _rename(self, item: Any) -> None:
        number = self.ui.structuresList.row(item)
        if item.text() != self._heads[number].name:
            self._heads = ()  # shown anew, also where the name is refused
            self._flow.rename(number, item.text())

    def _fill(self, heads: tuple[KnownStructure, ...]) -> None:
        if heads == self._heads:
            return
        self._heads = heads
        self.ui.structuresList.blockSignals(True)
        self.ui.structuresList.clear()
        for head in heads:
            item = qt.QListWidgetItem(square(head.color), head.name)
            item.setFlags(qt.Qt.ItemIsEnabled | qt.Qt.ItemIsEditable)
            item.setToolTip("\n".join(text for text in (head.name, head.meaning) if text))
            self.ui.structuresList.addItem(item)
        self.ui.structuresList.blockSignals(False)
