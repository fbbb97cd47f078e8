"""``slicer.app`` and the widgets that Slicer adds to the package ``slicer``."""

import sys
import types
from typing import ClassVar

from PySide6 import QtCore, QtGui, QtWidgets
from standin import dialogs
from standin.qt import binding, special

QtWidgets.QApplication.setStyle("Fusion")


class qSlicerLayoutManager(binding.find("QObject")):
    """Remembers the layout that was asked for."""

    standinClass = True
    layoutChanged = QtCore.Signal(int)

    def _get(self):
        return self.__dict__.get("_layout", 1)

    def setLayout(self, layout):
        """Choose a layout by its number."""
        self.__dict__["_layout"] = int(layout)
        object.__getattribute__(self, "layoutChanged").emit(int(layout))

    layout = QtCore.Property(int, _get, setLayout)

    def sliceViewNames(self):
        """Return no views: there is nothing to draw on."""
        return ()

    def sliceWidget(self, _name):
        """Return no view."""

    def threeDWidget(self, _index):
        """Return no view."""


class qSlicerModuleManager(binding.find("QObject")):
    """Knows the modules in ``slicer.modules``."""

    standinClass = True
    moduleAboutToBeUnloaded = QtCore.Signal(str)

    def module(self, name):
        """Return a module, or None."""
        import slicer

        return getattr(slicer.modules, name.lower(), None)


class qSlicerApplication(binding.find("QApplication")):
    """The application, as far as a scripted module uses it."""

    standinClass = True
    startupCompleted = QtCore.Signal()
    mrmlSceneChanged = QtCore.Signal(object)
    typedSignals: ClassVar = {"mrmlSceneChanged(vtkMRMLScene*)": "mrmlSceneChanged"}

    def __init__(self, arguments, folder):
        super().__init__(arguments)
        self.setOrganizationName("standin")
        self.setApplicationName("Slicer")
        QtCore.QSettings.setDefaultFormat(QtCore.QSettings.IniFormat)
        QtCore.QSettings.setPath(QtCore.QSettings.IniFormat, QtCore.QSettings.UserScope, str(folder))
        self.__dict__.update(
            _layouts=qSlicerLayoutManager(), _modules=qSlicerModuleManager(), _folder=folder, restarts=0, testing=True
        )

    temporaryPath = QtCore.Property(str, lambda self: str(self._folder))
    slicerHome = QtCore.Property(str, lambda self: str(self._folder / "home"))
    applicationVersion = QtCore.Property(str, lambda _self: "5.12.0-2026-06-01")
    revision = QtCore.Property(str, lambda _self: "34000")
    os = QtCore.Property(str, lambda _self: "linux")
    documentationBaseUrl = QtCore.Property(str, lambda _self: "https://slicer.readthedocs.io/en/5.12/")
    majorVersion = QtCore.Property(int, lambda _self: 5)
    minorVersion = QtCore.Property(int, lambda _self: 12)

    def applicationLogic(self):
        """Return the real application logic."""
        import slicer

        return slicer.modules.applicationLogic

    def mrmlScene(self):
        """Return the scene."""
        import slicer

        return slicer.mrmlScene

    def layoutManager(self):
        """Return the layout manager."""
        return self._layouts

    def moduleManager(self):
        """Return the module manager."""
        return self._modules

    def settings(self):
        """Return the settings of this revision."""
        import qt

        return qt.QSettings()

    userSettings = settings
    revisionUserSettings = settings

    def testingEnabled(self):
        """Tell whether modules are under test; then they must not ask anybody."""
        return self.testing

    def restart(self):
        """Count instead of restarting."""
        self.restarts += 1

    def openExtensionsManagerDialog(self):
        """Ask the test."""
        dialogs.ask("Extensions Manager")

    def ioManager(self):
        """Return what saves and loads; asking to save asks the test."""
        return types.SimpleNamespace(openSaveDataDialog=lambda: dialogs.ask("Save data"))

    def pauseRender(self):
        """Do nothing: nothing is drawn."""

    resumeRender = pauseRender

    def translate(self, _context, text):
        """Return the text: the stand-in speaks English."""
        return text

    def moduleDocumentationUrl(self, name):
        """Return the address of a module's documentation."""
        return f"{self.documentationBaseUrl}user_guide/modules/{name.lower()}.html"

    def forget(self):
        """Go back to how the application was at its start."""
        self._layouts.setLayout(1)
        self.restarts, self.testing = 0, True
        self.settings().clear()


def start(slicer, folder):
    """Make the application and give it to ``slicer``."""
    slicer.app = binding.keep(qSlicerApplication(sys.argv[:1], folder))
    special.start()
    slicer.app.setFont(QtGui.QFont("DejaVu Sans", 9))
