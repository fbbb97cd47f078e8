"""Choose a scan and structures, watch them being segmented, and use the result."""

from __future__ import annotations

from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from IncrementalSegPanel.documents.Heads import KnownStructure
from IncrementalSegPanel.Fitting import shortened
from IncrementalSegPanel.flows.Overlay import UNCERTAINTY
from IncrementalSegPanel.Page import Page
from IncrementalSegPanel.pages.HeadsTree import HeadsTree, square
from IncrementalSegPanel.State import State
from IncrementalSegPanel.Wording import duration, millilitres

_STEPS = 1000
"""Steps of the progress bar."""


class SegmentPage(Page):
    """The page of the states ready, segmenting and done."""

    def setUp(self) -> None:
        """Connect the widgets."""
        ui, flow = self.ui, self.session.segmenting
        self._tree = HeadsTree(ui.headsTree, ui.searchBox, ui.allButton, ui.noneButton, flow.leaveOut)
        self._outcome: object = None
        ui.resultTree.header().setSectionResizeMode(0, qt.QHeaderView.Stretch)
        ui.resultTree.header().setSectionResizeMode(1, qt.QHeaderView.ResizeToContents)
        ui.volumeSelector.setMRMLScene(slicer.mrmlScene)
        ui.volumeSelector.connect(
            "nodeActivated(vtkMRMLNode*)", flow.chooseVolume
        )  # a person, as long as render blocks
        ui.volumeSelector.connect("currentNodeChanged(bool)", self._showChoice)  # the scene: nobody has chosen that
        ui.uncertaintyBox.connect("toggled(bool)", flow.wantUncertainty)
        ui.overlayButton.connect("toggled(bool)", flow.showUncertainty)
        ui.similarityCombo.connect("activated(int)", self._compare)
        for button, act in (
            (ui.segmentButton, flow.start),
            (ui.cancelButton, flow.cancel),
            (ui.undoButton, flow.undo),
            (ui.againButton, flow.close),
            (ui.correctButton, self._correct),
            (ui.learnButton, self._learn),
            (ui.exampleButton, self._improve),
            (ui.teachButton, self._teach),
        ):
            button.connect("clicked()", act)

    @property
    def primary(self) -> Any:
        """Segment, cancel or correct."""
        return {
            State.SEGMENTING: self.ui.cancelButton,
            State.DONE: self.ui.correctButton,
        }.get(self.session.state, self.ui.segmentButton)

    def escape(self) -> None:
        """Cancel what runs, or show the result no longer."""
        if self.session.state is State.SEGMENTING:
            self.session.segmenting.cancel()
        elif self.session.state is State.DONE:
            self.session.segmenting.close()

    def render(self) -> None:
        """Show what the session knows."""
        ui, flow, state = self.ui, self.session.segmenting, self.session.state
        if state is State.READY:
            flow.prepare()
        busy = state is State.SEGMENTING
        for widget, states in (
            (ui.choiceFrame, (State.READY, State.SEGMENTING)),
            (ui.deviceLabel, (State.READY, State.SEGMENTING)),
            (ui.segmentButton, (State.READY,)),
            (ui.teachButton, (State.READY,)),
            (ui.progressFrame, (State.SEGMENTING,)),
            (ui.cancelButton, (State.SEGMENTING,)),
            (ui.resultFrame, (State.DONE,)),
            (ui.correctButton, (State.DONE,)),
            (ui.learnButton, (State.READY, State.DONE)),
        ):
            widget.visible = state in states
        waiting = _("Wait until the segmentation is done, or cancel it.") if busy else ""
        for widget in (ui.volumeSelector, ui.headsTree, ui.allButton, ui.noneButton, ui.uncertaintyBox):
            self.allow(widget, waiting)
        self._renderChoice()
        if busy:
            self._renderProgress()
        if state is State.DONE:
            self._renderOutcome()

    def _renderChoice(self) -> None:
        ui, flow, parameters = self.ui, self.session.segmenting, self.session.parameters
        if ui.volumeSelector.currentNode() is not flow.volume:  # choosing again would close its open list
            ui.volumeSelector.blockSignals(True)
            ui.volumeSelector.setCurrentNode(flow.volume)
            ui.volumeSelector.blockSignals(False)
        self._tree.render(flow.heads, flow.chosen)
        ui.uncertaintyBox.blockSignals(True)
        ui.uncertaintyBox.checked = parameters is not None and parameters.uncertainty
        ui.uncertaintyBox.blockSignals(False)
        ui.deviceLabel.text = flow.obstacle or flow.deviceText
        ui.deviceLabel.toolTip = _(
            "On Linux, Slicer gives itself and all its processes the lowest priority, so that others come first. "
            "Started with SLICER_BACKGROUND_THREAD_PRIORITY=0 in its environment, it does not."
        )
        self.allow(ui.segmentButton, flow.obstacle)

    def _renderProgress(self) -> None:
        ui, flow = self.ui, self.session.segmenting
        ui.progressLabel.text = flow.progressText
        ui.progressBar.setRange(0, 0 if flow.fraction is None else _STEPS)
        ui.progressBar.value = 0 if flow.fraction is None else round(_STEPS * flow.fraction)

    def _renderOutcome(self) -> None:
        ui, flow, outcome = self.ui, self.session.segmenting, self.session.segmenting.outcome
        ui.show3DButton.setSegmentationNode(outcome.segmentation)
        ui.overlayButton.blockSignals(True)
        ui.overlayButton.checked = flow.overlay.shown == UNCERTAINTY
        ui.overlayButton.blockSignals(False)
        without = _("Check “Map of uncertainty” and segment again to see where the model is unsure.")
        self.allow(ui.overlayButton, "" if outcome.uncertainty else without)
        self._renderSimilarity()
        self.allow(ui.correctButton, "" if outcome.found else _("Nothing was found that could be corrected."))
        if outcome is self._outcome:
            return
        self._outcome = outcome
        total = len(outcome.found) + len(outcome.missing)
        text = _("{} of {} structure found in {}.") if total == 1 else _("{} of {} structures found in {}.")
        ui.resultLabel.text = text.format(len(outcome.found), total, duration(outcome.seconds))
        ui.resultTree.clear()
        for head, ml in outcome.found:
            self._addRow(head, millilitres(ml))
        for head in outcome.missing:
            self._addRow(head, _("not found"))
        if outcome.found:
            ui.resultTree.setCurrentItem(ui.resultTree.topLevelItem(0))

    def _renderSimilarity(self) -> None:
        ui, flow = self.ui, self.session.segmenting
        known = flow.comparable
        ui.similarityFrame.visible = bool(known)
        ui.overlayLabel.text = flow.overlay.progressText
        ui.overlayLabel.visible = bool(flow.overlay.progressText)
        names = [_("none"), *(shortened(head.name) for head in known)]
        if names != [ui.similarityCombo.itemText(row) for row in range(ui.similarityCombo.count)]:
            ui.similarityCombo.clear()
            ui.similarityCombo.addItems(names)
        ids = [head.id for head in known]
        shown = flow.overlay.shown
        ui.similarityCombo.currentIndex = 1 + ids.index(shown) if shown in ids else 0

    def _compare(self, place: int) -> None:
        """Show the map of similarity to a structure, or none."""
        flow = self.session.segmenting
        if place:
            flow.showSimilarity(flow.comparable[place - 1])
        elif flow.overlay.shown != UNCERTAINTY:
            flow.showSimilarity(None)

    def _addRow(self, head: KnownStructure, text: str) -> None:
        row = qt.QTreeWidgetItem()
        row.setIcon(0, square(head.color))
        row.setText(0, head.name)
        row.setText(1, text)
        row.setTextAlignment(1, qt.Qt.AlignRight | qt.Qt.AlignVCenter)
        self.ui.resultTree.addTopLevelItem(row)

    def _correct(self) -> None:
        """Open the Segment Editor on the structure that is selected."""
        head = self._selected()
        self.session.segmenting.correct(None if head in self.session.segmenting.outcome.missing else head)

    def _learn(self) -> None:
        """Correct this scan by strokes, or the one that is chosen."""
        flow = self.session.segmenting
        shown = flow.outcome is not None
        self.session.correcting.begin(flow.outcome.volume if shown else flow.volume, shown=shown)

    def _improve(self) -> None:
        """Collect examples of the structure that is selected, this scan first."""
        segmentation = self.session.segmenting.outcome.segmentation
        self.session.teaching.begin(self._selected().name, improve=True, first=segmentation.GetID())

    def _showChoice(self) -> None:
        """Show the scan that is chosen again, where the selector went to another by itself."""
        self.session.changed()

    def _selected(self) -> KnownStructure:
        """Return the structure that is selected, by default the first."""
        outcome, item = self.session.segmenting.outcome, self.ui.resultTree.currentItem()
        place = self.ui.resultTree.indexOfTopLevelItem(item) if item is not None else 0
        return [*(head for head, _ml in outcome.found), *outcome.missing][place]

    def _teach(self) -> None:
        self.session.teaching.begin()
