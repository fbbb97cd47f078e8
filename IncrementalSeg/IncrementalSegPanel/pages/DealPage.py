"""What a step will take, what is kept of it, and how it is done; one button begins it."""

from __future__ import annotations

from typing import Any

from slicer.i18n import tr as _

from IncrementalSegPanel import Fitting
from IncrementalSegPanel.documents.Options import fieldsOf
from IncrementalSegPanel.flows.Terms import settingsOf
from IncrementalSegPanel.Page import Page
from IncrementalSegPanel.pages.OptionsForm import OptionsForm


class DealPage(Page):
    """The page of the state deal."""

    def setUp(self) -> None:
        """Connect the widgets."""
        ui, teaching = self.ui, self.session.teaching
        self._deal = deal = teaching.deal
        self._methods: list[str] | None = None
        self._settings = OptionsForm(ui.settingsHolder, deal.changed)
        self._options = OptionsForm(ui.optionsHolder, deal.changed)
        Fitting.reserve(ui.dealLabel, 4)
        ui.methodCombo.connect("currentIndexChanged(int)", self._chooseMethod)
        ui.keepButton.connect("toggled(bool)", self._chooseExemplars)
        ui.giveUpBox.connect("toggled(bool)", deal.allowGivingUp)
        ui.resumeButton.connect("clicked()", teaching.resume)
        ui.measureButton.connect("clicked()", deal.measure)
        ui.backButton.connect("clicked()", teaching.toExamples)
        ui.teachButton.connect("clicked()", teaching.teach)

    @property
    def primary(self) -> Any:
        """Teach."""
        return self.ui.teachButton

    def render(self) -> None:
        """Show the deal as far as it is known."""
        ui, deal = self.ui, self._deal
        name = "" if deal.lesson is None else deal.lesson.name
        improve = deal.lesson is not None and deal.lesson.improve
        ui.titleLabel.text = (_("Improve {}") if improve else _("Teach {}")).format(name)
        ui.dealLabel.text = " ".join(deal.sentences)
        ui.doingBar.visible = bool(deal.doing)
        ui.doingBar.format = deal.doing
        ui.doingBar.value = round(100 * deal.fraction)
        ui.measureButton.visible = deal.outdated and not deal.doing
        ui.placeLabel.visible = deal.scans is not None
        if deal.scans is not None:  # a whole path has no place to be broken at
            ui.placeLabel.text = _("These scans stay in the folder “{}”: they judge later steps.").format(
                deal.scans.name
            )
            ui.placeLabel.toolTip = str(deal.scans)
        ui.reasonsLabel.text = "\n".join(f"• {reason}" for reason in deal.reasons)
        self.allow(ui.reasonsSection, "" if deal.reasons else _("No method is recommended yet."))
        ui.keepButton.blockSignals(True)
        ui.keepButton.checked = deal.terms.exemplars == "keep"
        ui.noneButton.checked = deal.terms.exemplars != "keep"
        ui.keepButton.blockSignals(False)
        self._renderUnfinished()
        self._renderMethod()
        self.allow(ui.teachButton, deal.obstacle)

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
        ui.giveUpBox.checked = self._deal.givesUp
        ui.giveUpBox.blockSignals(False)

    def _renderMethod(self) -> None:
        ui, deal = self.ui, self._deal
        names = [item["name"] for item in deal.choices]
        ui.methodCombo.blockSignals(True)
        if names != self._methods:
            self._methods = names
            ui.methodCombo.clear()
            for text in (_("recommended"), *names):
                ui.methodCombo.addItem(text)
        advised = (deal.advice or {}).get("method")
        ui.methodCombo.setItemText(0, _("recommended: {}").format(advised) if advised else _("recommended"))
        ui.methodCombo.currentIndex = names.index(deal.terms.method) + 1 if deal.terms.method in names else 0
        ui.methodCombo.blockSignals(False)
        chosen = next((item for item in deal.choices if item["name"] == deal.method), None)
        ui.summaryLabel.text = "" if chosen is None else f"{chosen['summary']}\n{chosen['source']}"
        ui.summaryLabel.visible = chosen is not None
        self._settings.render(settingsOf(deal.settings, deal.isFirst), deal.terms.settings)
        ui.optionsLabel.visible = chosen is not None
        self._options.render(() if chosen is None else fieldsOf(chosen["schema"]), deal.terms.options)

    def _chooseMethod(self, index: int) -> None:
        self._deal.setMethod(self._methods[index - 1] if index > 0 and self._methods else None)

    def _chooseExemplars(self, kept: bool) -> None:
        self._deal.terms.exemplars = "keep" if kept else "none"
        self._deal.changed()
