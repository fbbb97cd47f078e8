"""The open model, what waits in it, and the menu of all that can be done with models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import qt
from slicer.i18n import tr as _

from IncrementalSegPanel.Page import Page
from IncrementalSegPanel.pages import Choose
from IncrementalSegPanel.State import State, allowed


class ModelHeader(Page):
    """The top of the panel in every state."""

    def setUp(self) -> None:
        """Build the menu."""
        self._menu = qt.QMenu(self.widget)
        self._menu.toolTipsVisible = True
        self._act: Any = None
        self._open = self._add("openAction", _("Open…"), self._onOpen)
        self._new = self._add("newAction", _("New…"), self._onNew)
        self._import = self._add("importAction", _("Import package…"), self._onImport)
        self._menu.addSeparator()
        self._export = self._add("exportAction", _("Export package…"), self._onExport)
        self._versions = self._add("versionsAction", _("Versions…"), self._onVersions)
        self._review = self._add("reviewAction", _("Review exemplars…"), self._onReview)
        self._folder = self._add("folderAction", _("Show folder"), self._onFolder)
        self.ui.menuButton.setMenu(self._menu)
        self.ui.pendingButton.connect("clicked()", self._onPending)

    def render(self) -> None:
        """Show the open model."""
        session, opening, ui = self.session, self.session.opening, self.ui
        ui.titleLabel.text = self._title()
        ui.titleLabel.toolTip = "" if session.folder is None else str(session.folder)
        ui.detailLabel.text = self._detail()
        ui.detailLabel.visible = bool(ui.detailLabel.text)
        self._renderPending()
        missing = _("Install what is missing first.") if session.state.page == "EnvironmentPage" else ""
        busy = missing or opening.obstacle
        without = "" if session.model is not None else _("Open a model first.")
        self.allow(self._open, opening.obstacle)
        self.allow(self._new, busy)
        self.allow(self._import, busy)
        self.allow(self._export, without or busy)
        self.allow(self._versions, without or busy or self._away(State.COMPARING))
        self.allow(self._review, without or busy or self._away(State.REVIEWING))
        self.allow(self._folder, without)

    def _title(self) -> str:
        model, folder = self.session.model, self.session.folder
        if model is not None:
            count = len(model.heads)
            structures = _("1 structure") if count == 1 else _("{} structures").format(count)
            return " · ".join((model.name, structures, _("version {}").format(model.version)))
        if folder is not None:
            return " · ".join((folder.name, _("new model")))
        return _("No model is open")

    def _detail(self) -> str:
        model = self.session.model
        return "" if model is None else _("This version was made on {}.").format(model.created[:10])

    def _renderPending(self) -> None:
        """Offer to resume an unfinished step, to compare a version that waits, or to continue corrections."""
        model, ui = self.session.model, self.ui
        text, label, self._act = "", "", None
        waiting = () if model is None else model.candidates
        if self.session.state is State.READY and model is not None and model.unfinished is not None:
            names = ", ".join(model.unfinished.structures)
            text, label = _("A step that teaches {} is unfinished.").format(names), _("Resume")
            self._act = self.session.teaching.resume
        elif self.session.state is State.READY and model is not None and model.corrected:
            text, label, self._act = _correcting(model.corrected), _("Continue"), self._onCorrecting
        elif self.session.state is State.READY and waiting:
            text = _("Version {} waits for your decision.").format(waiting[-1])
            label, self._act = _("Compare"), lambda: self.session.comparing.show(waiting[-1])
        ui.pendingFrame.visible = self._act is not None
        ui.pendingLabel.text, ui.pendingButton.text = text, label

    def _away(self, state: State) -> str:
        """Return why a state cannot be gone to from here; empty where it can."""
        return "" if allowed(self.session.state, state) else _("Finish or leave this page first (Esc).")

    def _add(self, name: str, text: str, act: Any) -> Any:
        action = self._menu.addAction(text)
        action.objectName = name
        action.connect("triggered()", act)
        return action

    def _onOpen(self) -> None:
        path = Choose.modelFolder(self.session.folders.models)
        if path is not None:
            self.session.opening.open(path)

    def _onNew(self) -> None:
        self.session.go(State.NO_MODEL)

    def _onImport(self) -> None:
        path = Choose.packageToRead(self.session.folders.models)
        if path is not None:
            self.session.opening.importPackage(path)

    def _onExport(self) -> None:
        path = Choose.packageToWrite(self.session.folders.models, self.session.model.name)
        if path is not None:
            self.session.opening.exportPackage(path)

    def _onVersions(self) -> None:
        self.session.comparing.versions()

    def _onReview(self) -> None:
        self.session.reviewing.show()

    def _onFolder(self) -> None:
        qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(self.session.folder)))

    def _onCorrecting(self) -> None:
        self.session.correcting.begin(self.session.segmenting.volume)

    def _onPending(self) -> None:
        if self._act is not None:
            self._act()


def _correcting(scans: Sequence[str]) -> str:
    if len(scans) == 1:
        return _("Corrections of {} are neither kept nor discarded.").format(scans[0])
    return _("Corrections of {} scans are neither kept nor discarded.").format(len(scans))
