"""The summary of a step before it begins: time, memory, options; one button starts it."""

from __future__ import annotations

from typing import Any

from slicer.i18n import tr as _

from IncrementalSegPanel import Fitting
from IncrementalSegPanel.documents.Options import fieldsOf
from IncrementalSegPanel.flows.StepOptions import settingsOf
from IncrementalSegPanel.Page import Page
from IncrementalSegPanel.pages.OptionsForm import OptionsForm


class SummaryPage(Page):
    """The page of the state summary."""

    def setUp(self) -> None:
        """Connect the widgets."""
        ui, teaching = self.ui, self.session.teaching
        self._summary = summary = teaching.summary
        self._methods: list[str] | None = None
        self._settings = OptionsForm(ui.settingsHolder, summary.changed)
        self._options = OptionsForm(ui.optionsHolder, summary.changed)
        Fitting.reserve(ui.summaryLabel, 4)
        ui.methodCombo.connect("currentIndexChanged(int)", self._chooseMethod)
        ui.keepButton.connect("toggled(bool)", self._chooseExemplars)
        ui.giveUpBox.connect("toggled(bool)", summary.allowGivingUp)
        ui.resumeButton.connect("clicked()", teaching.resume)
        ui.measureButton.connect("clicked()", summary.measure)
        ui.backButton.connect("clicked()", teaching.toExamples)
        ui.teachButton.connect("clicked()", teaching.teach)

    @property
    def primary(self) -> Any:
        """Teach."""
        return self.ui.teachButton

    def render(self) -> None:
        """Show the summary as far as it is known."""
        ui, summary = self.ui, self._summary
        name = "" if summary.task is None else summary.task.name
        improve = summary.task is not None and summary.task.improve
        ui.titleLabel.text = (_("Improve {}") if improve else _("Teach {}")).format(name)
        ui.summaryLabel.text = " ".join(summary.sentences)
        ui.doingBar.visible = bool(summary.doing)
        ui.doingBar.format = summary.doing
        ui.doingBar.value = round(100 * summary.fraction)
        ui.measureButton.visible = summary.outdated and not summary.doing
        ui.placeLabel.visible = summary.scans is not None
        if summary.scans is not None:  # a whole path has no place to be broken at
            ui.placeLabel.text = _("These scans stay in the folder “{}”: they are used to check later steps.").format(
                summary.scans.name
            )
            ui.placeLabel.toolTip = str(summary.scans)
        ui.reasonsLabel.text = "\n".join(f"• {reason}" for reason in summary.reasons)
        self.allow(ui.reasonsSection, "" if summary.reasons else _("No method is recommended yet."))
        ui.keepButton.blockSignals(True)
        ui.keepButton.checked = summary.stepOptions.exemplars == "keep"
        ui.noneButton.checked = summary.stepOptions.exemplars != "keep"
        ui.keepButton.blockSignals(False)
        self._renderUnfinished()
        self._renderMethod()
        self.allow(ui.teachButton, summary.obstacle)

    def escape(self) -> None:
        """Go back to the examples."""
        self.session.teaching.toExamples()

    def _renderUnfinished(self) -> None:
        ui, found = self.ui, self.session.unfinished
        ui.unfinishedFrame.visible = found is not None
        if found is None:
            return
        names, share = ", ".join(found.structures), round(100 * found.fraction)
        ui.unfinishedLabel.text = _("A step of this model is unfinished: {}, {} % done.").format(names, share)
        ui.giveUpBox.blockSignals(True)
        ui.giveUpBox.checked = self._summary.givesUp
        ui.giveUpBox.blockSignals(False)

    def _renderMethod(self) -> None:
        ui, summary = self.ui, self._summary
        names = [item["name"] for item in summary.choices]
        ui.methodCombo.blockSignals(True)
        if names != self._methods:
            self._methods = names
            ui.methodCombo.clear()
            for text in (_("recommended"), *names):
                ui.methodCombo.addItem(text)
        advised = (summary.advice or {}).get("method")
        ui.methodCombo.setItemText(0, _("recommended: {}").format(advised) if advised else _("recommended"))
        ui.methodCombo.currentIndex = (
            names.index(summary.stepOptions.method) + 1 if summary.stepOptions.method in names else 0
        )
        ui.methodCombo.blockSignals(False)
        chosen = next((item for item in summary.choices if item["name"] == summary.method), None)
        ui.methodSummaryLabel.text = "" if chosen is None else f"{chosen['summary']}\n{chosen['source']}"
        ui.methodSummaryLabel.visible = chosen is not None
        self._settings.render(settingsOf(summary.settings, summary.isFirst), summary.stepOptions.settings)
        ui.optionsLabel.visible = chosen is not None
        self._options.render(() if chosen is None else fieldsOf(chosen["schema"]), summary.stepOptions.options)

    def _chooseMethod(self, index: int) -> None:
        self._summary.setMethod(self._methods[index - 1] if index > 0 and self._methods else None)

    def _chooseExemplars(self, kept: bool) -> None:
        self._summary.stepOptions.exemplars = "keep" if kept else "none"
        self._summary.changed()
