"""The ways to a model: try the sample, open one, adopt one, or begin a new one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import qt
from slicer.i18n import tr as _

from IncrementalSegPanel import Fitting
from IncrementalSegPanel.Page import Page
from IncrementalSegPanel.pages import Choose

_NAME = 36
"""Characters of a name that fit a narrow list."""


class ModelPage(Page):
    """The page of the state no model; also where another model is opened."""

    def setUp(self) -> None:
        """Connect the widgets."""
        ui = self.ui
        self._drop = Drop(self._open, self.widget)
        self.widget.installEventFilter(self._drop)
        ui.sampleButton.connect("clicked()", self._trySample)
        ui.openButton.connect("clicked()", self._openTyped)
        ui.pathEdit.connect("textChanged(QString)", lambda _text: self.render())
        ui.pathEdit.connect("returnPressed()", self._openTyped)
        ui.browseButton.connect("clicked()", self._browse)
        ui.recentList.connect("itemActivated(QListWidgetItem*)", self._openRecent)
        ui.adoptButton.connect("clicked()", self._adopt)
        ui.nameEdit.connect("textChanged(QString)", lambda _text: self.render())
        ui.nameEdit.connect("returnPressed()", self._begin)
        ui.newButton.connect("clicked()", self._begin)
        ui.backButton.connect("clicked()", self.escape)

    @property
    def primary(self) -> Any:
        """Try the sample, or what a person has begun to type."""
        if self.ui.nameEdit.text:
            return self.ui.newButton
        return self.ui.openButton if self.ui.pathEdit.text else self.ui.sampleButton

    def render(self) -> None:
        """Show what the session knows."""
        ui, opening = self.ui, self.session.opening
        self.allow(ui.openButton, "" if ui.pathEdit.text.strip() else _("Type or drop the folder of a model first."))
        self.allow(ui.newButton, opening.obstacleToName(ui.nameEdit.text))
        for button in (ui.sampleButton, ui.openButton, ui.newButton):
            button.default = button is self.primary
        ui.backButton.visible = self.session.model is not None
        name = "" if self.session.model is None else self.session.model.name
        ui.backButton.text = _("Back to {}").format(Fitting.shortened(name))
        recent = [str(path) for path in opening.recent]
        ui.recentLabel.visible = ui.recentList.visible = bool(recent)
        if recent != [ui.recentList.item(row).data(qt.Qt.UserRole) for row in range(ui.recentList.count)]:
            self._fill(recent)

    def _fill(self, recent: list[str]) -> None:
        self.ui.recentList.clear()
        for path in recent:
            item = qt.QListWidgetItem(Fitting.shortened(Path(path).name, _NAME))
            item.setToolTip(path)
            item.setData(qt.Qt.UserRole, path)
            self.ui.recentList.addItem(item)

    def _trySample(self) -> None:
        from IncrementalSegPanel.scene import Exports, SampleData

        self.session.opening.trySample(lambda defer: Exports.Export(SampleData.loadPieces(), defer))

    def _open(self, path: Path) -> None:
        self.session.opening.open(path)

    def _openTyped(self) -> None:
        if self.ui.pathEdit.text.strip():
            self._open(Path(self.ui.pathEdit.text.strip()))

    def _openRecent(self, item: Any) -> None:
        self._open(Path(item.data(qt.Qt.UserRole)))

    def _browse(self) -> None:
        path = Choose.modelFolder(self.session.folders.models)
        if path is not None:
            self._open(path)

    def _adopt(self) -> None:
        path = Choose.trainedFolder(self.session.folders.models)
        if path is not None:
            self.session.adopting.begin(path)

    def _begin(self) -> None:
        if not self.session.opening.obstacleToName(self.ui.nameEdit.text):
            self.session.opening.begin(self.ui.nameEdit.text)


class Drop(qt.QObject):
    """Open what is dropped onto a widget.

    Args:
        act: Receives the path.
        parent: Owner.
    """

    def __init__(self, act: Any, parent: Any) -> None:
        qt.QObject.__init__(self, parent)
        self._act = act

    def eventFilter(self, _watched: Any, event: Any) -> bool:
        """Take a folder or file that is dragged here."""
        if event.type() not in (qt.QEvent.DragEnter, qt.QEvent.Drop):
            return False
        paths = [Path(url.toLocalFile()) for url in event.mimeData().urls() if url.isLocalFile()]
        if not paths:
            return False
        event.acceptProposedAction()
        if event.type() == qt.QEvent.Drop:
            self._act(paths[0])
        return True
