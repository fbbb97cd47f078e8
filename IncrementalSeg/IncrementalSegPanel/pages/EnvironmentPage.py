"""The page that is seen while something is missing: what, how large, what it changes, and the button that fixes it."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

import ctk
import qt
from slicer.i18n import tr as _

from IncrementalSegPanel.Page import Page
from IncrementalSegPanel.State import State

_SOMETIMES = (
    "obstacleLabel",
    "cancelButton",
    "factsLabel",
    "commandText",
    "linkButton",
    "folderGroup",
    "progressGroup",
)


class EnvironmentPage(Page):
    """Three states: something is missing or being installed, Slicer has to start again, nothing can be done here."""

    def setUp(self) -> None:
        """Connect the buttons."""
        self.flow = self.session.installing
        self.ui.folderPath.filters = ctk.ctkPathLineEdit.Dirs
        self.ui.primaryButton.connect("clicked()", self._act)
        self.ui.otherButton.connect("clicked()", self._goOn)
        self.ui.linkButton.connect("clicked()", self._openLink)
        self.ui.cancelButton.connect("clicked()", self.flow.cancel)
        self.ui.folderPath.connect("currentPathChanged(QString)", lambda _path: self.render())
        self.ui.detailsGroup.connect("contentsCollapsed(bool)", lambda _collapsed: self._renderLog())
        self.ui.folderButton.connect("clicked()", self._installFromFolder)
        self.ui.folderCopyButton.connect("clicked()", self._copyDownload)

    @property
    def primary(self) -> Any:
        """The button that Ctrl+Enter presses; none during an installation, so that no key ends it."""
        return None if self.flow.phase else self.ui.primaryButton

    def escape(self) -> None:
        """Go on without installing, unless something is being installed."""
        if not self.flow.phase:
            self._goOn()

    def render(self) -> None:
        """Show what was found, or how far the installation is."""
        if self.flow.report is None:
            return
        for name in _SOMETIMES:
            getattr(self.ui, name).visible = False
        if self.flow.phase:
            self._renderRunning()
        elif self.session.state is State.RESTART_NEEDED:
            self._renderRestart()
        elif self.session.state is State.UNSUPPORTED:
            self._renderUnsupported()
        else:
            self._renderMissing()
        self._renderLog()

    def _renderMissing(self) -> None:
        report = self.flow.report
        self.ui.obstacleLabel.text = report.obstacle
        self.ui.obstacleLabel.visible = bool(report.obstacle)
        self._say(report.title, report.sentence, _("Install"), _("Look at models"))
        self.ui.factsLabel.text = _table(report.facts)
        self.ui.factsLabel.visible = True
        self.ui.folderGroup.visible = True
        self.allow(self.ui.primaryButton, report.obstacle)
        self.allow(self.ui.folderButton, report.folderObstacle or self._folderObstacle())

    def _renderRunning(self) -> None:
        number, total = self.flow.step
        self._say(
            _("The libraries are being installed"),
            _("Slicer can be used meanwhile; please do not close it."),
            "",
        )
        self.ui.cancelButton.visible = True
        self.allow(
            self.ui.cancelButton, _("Everything that was started is being ended.") if self.flow.cancelled else ""
        )
        self.ui.progressGroup.visible = True
        self.ui.phaseLabel.text = _("Step {number} of {total}: {phase} …").format(
            number=number, total=total, phase=self.flow.phase
        )
        self.ui.lastLine.text = self.flow.lines[-1].strip() if self.flow.lines else ""
        self.ui.lastLine.cursorPosition = 0

    def _renderRestart(self) -> None:
        self._say(
            _("Installed. Slicer has to start again"),
            _("Loaded before, and of another version now: {names}. Afterwards the panel opens by itself.").format(
                names=", ".join(self.flow.stale)
            ),
            _("Restart and continue"),
            _("Later"),
        )
        self.allow(self.ui.primaryButton)
        self.ui.primaryButton.toolTip = _("Slicer offers to save the scene first")

    def _renderUnsupported(self) -> None:
        report = self.flow.report
        self._say(report.title, report.sentence, _("Copy command line"), _("Look at models"))
        self.ui.commandText.plainText = report.command
        self.ui.commandText.visible = True
        self.ui.linkButton.visible = bool(report.link)
        self.ui.linkButton.text = report.link.partition("://")[2]
        self.allow(self.ui.primaryButton)

    def _say(self, title: str, sentence: str, primary: str, other: str = "") -> None:
        self.ui.titleLabel.text = title
        self.ui.sentenceLabel.text = sentence
        self.ui.primaryButton.text = primary
        self.ui.primaryButton.visible = bool(primary)
        self.ui.otherButton.text = other
        self.ui.otherButton.visible = bool(other)

    def _renderLog(self) -> None:
        self.ui.detailsGroup.visible = bool(self.flow.lines)
        if self.ui.detailsGroup.collapsed:
            return
        text = "\n".join(self.flow.lines)
        if self.ui.logText.plainText != text:
            self.ui.logText.plainText = text
            bar = self.ui.logText.verticalScrollBar()
            bar.setValue(bar.maximum)

    def _folderObstacle(self) -> str:
        path = self.ui.folderPath.currentPath
        if not path:
            return _("First choose the folder.")
        if not any(Path(path).glob("*.whl")):
            return _("There are no wheels (.whl) in this folder.")
        return ""

    def _act(self) -> None:
        match self.session.state:
            case State.RESTART_NEEDED:
                self.flow.restart()
            case State.UNSUPPORTED:
                qt.QApplication.clipboard().setText(self.flow.report.command)
            case _:
                self.flow.install()

    def _goOn(self) -> None:
        if self.session.state is State.RESTART_NEEDED:
            self.flow.postpone()
        else:
            self.flow.skip()

    def _openLink(self) -> None:
        qt.QDesktopServices.openUrl(qt.QUrl(self.flow.report.link))

    def _installFromFolder(self) -> None:
        self.flow.installFromFolder(Path(self.ui.folderPath.currentPath))

    def _copyDownload(self) -> None:
        qt.QApplication.clipboard().setText(self.flow.downloadCommand())


def _table(facts: tuple[tuple[str, str], ...]) -> str:
    rows = "".join(f"<tr><td><b>{escape(name)}</b></td><td>{_lines(text)}</td></tr>" for name, text in facts)
    return f'<table cellspacing="0" cellpadding="3">{rows}</table>'


def _lines(text: str) -> str:
    return escape(text).replace("\n", "<br/>&nbsp;")
