"""Slicer's main window for the tests that need one; most run without, as scripts do."""

import types

import qt
import slicer
from standin.events import settle
from standin.qt import binding


class qSlicerModuleSelectorToolBar(qt.QToolBar):
    """Remembers the module that was chosen last."""

    standinClass = True

    def selectModule(self, name):
        """Choose a module by its name."""
        self.__dict__["_name"] = name

    @property
    def selectedModule(self):
        """The chosen module's name."""
        return self.__dict__.get("_name", "")


class qSlicerMainWindow(qt.QMainWindow):
    """A main window with a module selector and a status bar."""

    standinClass = True

    def __init__(self):
        super().__init__()
        self.objectName = "qSlicerMainWindow"
        self.__dict__["_selector"] = qSlicerModuleSelectorToolBar()

    def moduleSelector(self):
        """Return the module selector."""
        return self._selector


def openWindow():
    """Return a main window; the module Segment Editor is there too, and not shown."""
    panel = binding.keep(qt.QWidget())
    qt.QVBoxLayout(panel).addWidget(slicer.qMRMLSegmentEditorWidget())
    slicer.modules.segmenteditor = types.SimpleNamespace(widgetRepresentation=lambda: panel)
    return binding.keep(qSlicerMainWindow())


def segmentEditor():
    """Return the widget in the module Segment Editor."""
    return slicer.modules.segmenteditor.widgetRepresentation().findChildren(slicer.qMRMLSegmentEditorWidget)[0]


def closeWindow(window):
    """Delete the window."""
    del slicer.modules.segmenteditor
    window.delete()


class ModulePanel:
    """Slicer's module panel: a scroll area that a wide page widens, and that keeps the height of the tallest page.

    Args:
        widget: The panel of a module.
        width: Pixels that the dock has.
        height: Pixels that Slicer's window leaves for it.
    """

    def __init__(self, widget, width, height):
        self.area, contents = binding.keep(qt.QScrollArea()), qt.QWidget()
        self.area.setHorizontalScrollBarPolicy(qt.Qt.ScrollBarAlwaysOff)
        self.area.setWidgetResizable(True)
        self.area.setFrameShape(qt.QFrame.NoFrame)
        layout = qt.QVBoxLayout(contents)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(widget, 1)
        self.area.setWidget(contents)
        self._contents = contents
        self.area.show()
        self.resize(width, height)

    def resize(self, width, height):
        """Give it another size; it stays as wide as its contents need."""
        self._width = width
        self.area.setMinimumWidth(0)
        self.area.resize(width, height)
        self.settle()

    def settle(self):
        """Let it take the size that its contents ask for."""
        settle()
        least = self._contents.minimumSizeHint
        self._contents.setMinimumHeight(max(self._contents.minimumHeight, least.height()))
        self.area.setMinimumWidth(least.width())
        settle()

    @property
    def fits(self):
        """Whether nothing has to be scrolled and the dock was not widened."""
        return self.area.verticalScrollBar().maximum == 0 and self.area.minimumWidth <= self._width

    @property
    def needs(self):
        """The width and height at which nothing would have to be scrolled."""
        return self.area.minimumWidth, self._contents.height

    def close(self):
        """Hide it; it goes with all windows when the test ends."""
        self.area.hide()
