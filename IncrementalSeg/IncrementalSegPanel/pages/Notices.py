"""Failures in three lines with a button that helps, and other notices."""

from __future__ import annotations

import platform
import sys

import qt
import slicer

import IncrementalSegLib
from IncrementalSegPanel import Fitting
from IncrementalSegPanel.Page import Page

_ICON = 20
"""Pixels."""

_FAILURE, _WARNINGS, _BESIDE = 72, 50, 32
"""Pixels of sentences of a failure, of warnings, and of warnings beside a failure; more are scrolled, so that the page
keeps its room."""


class Notices(Page):
    """The card of the latest failure, the sentences of warning and what is done with a package; else nothing."""

    def setUp(self) -> None:
        """Connect the buttons."""
        style = self.widget.style()
        for label, icon in (
            (self.ui.failureIcon, qt.QStyle.SP_MessageBoxCritical),
            (self.ui.warningIcon, qt.QStyle.SP_MessageBoxWarning),
        ):
            label.setPixmap(style.standardIcon(icon).pixmap(_ICON, _ICON))
        areas = ((self.ui.failureArea, _FAILURE), (self.ui.warningArea, _WARNINGS))
        self._failures, self._warnings = (Fitting.AsHighAsContents(area, most) for area, most in areas)
        self.ui.remedyButton.connect("clicked()", self._remedy)
        self.ui.copyButton.connect("clicked()", self._copy)
        self.ui.logButton.connect("toggled(bool)", self._showLog)
        self.ui.dismissButton.connect("clicked()", self.session.dismiss)

    def render(self) -> None:
        """Show the failure and the warnings of the session."""
        failure, warnings, message = self.session.failure, self.session.warnings, self.session.opening.message
        self.ui.messageLabel.text = message
        self.ui.messageLabel.visible = bool(message) and failure is None
        self.ui.failureFrame.visible = failure is not None
        self.ui.warningFrame.visible = bool(warnings)
        self.ui.warningLabel.text = "\n".join(warnings)
        self._warnings.limit(_WARNINGS if failure is None else _BESIDE)
        if failure is None:
            self.ui.logButton.checked = False
            return
        for label, text in (
            (self.ui.whatLabel, failure.what),
            (self.ui.whyLabel, failure.why),
            (self.ui.todoLabel, failure.todo),
        ):
            label.text = text
            label.visible = bool(text)
        self.ui.remedyButton.visible = failure.remedy is not None
        if failure.remedy is not None:
            self.ui.remedyButton.text = failure.remedy.label

    def report(self) -> str:
        """Return what a report of the fault should hold: versions, the message, the last lines of the log."""
        failure = self.session.failure
        assert failure is not None
        versions = (
            f"IncrementalSeg {IncrementalSegLib.__version__}",
            f"Slicer {slicer.app.applicationVersion}",
            f"Python {sys.version.split()[0]}",
            platform.platform(),
        )
        parts = [
            ", ".join(versions),
            self.session.device,
            " ".join(part for part in (failure.what, failure.why, failure.todo) if part),
            failure.report,
            self.session.worker.lastLines(),
        ]
        return "\n\n".join(part for part in parts if part)

    def _remedy(self) -> None:
        failure = self.session.failure
        if failure is not None and failure.remedy is not None:
            self.session.dismiss()
            failure.remedy.act()

    def _copy(self) -> None:
        qt.QApplication.clipboard().setText(self.report())

    def _showLog(self, shown: bool) -> None:
        self.ui.logText.visible = shown
        self.ui.failureArea.visible = not shown
        if shown and self.session.failure is not None:
            self.ui.logText.plainText = self.report()
