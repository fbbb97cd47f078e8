"""Slicer's main window for the tests that need one; most run without, as scripts do."""

import types

import qt
import slicer
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
    """Return a main window; the Segment Editor's widget is there too."""
    slicer.modules.SegmentEditorWidget = types.SimpleNamespace(editor=slicer.qMRMLSegmentEditorWidget())
    return binding.keep(qSlicerMainWindow())


def closeWindow(window):
    """Delete the window."""
    del slicer.modules.SegmentEditorWidget
    window.delete()
