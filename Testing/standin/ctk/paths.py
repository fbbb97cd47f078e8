"""Widgets of CTK for files and folders."""

import qt
from PySide6 import QtCore
from standin import dialogs
from standin.qt.binding import stored


class ctkPathLineEdit(qt.QWidget):
    """A path that is typed or chosen."""

    standinClass = True
    Files, Dirs, Drives, NoDot, NoDotDot = 0x002, 0x001, 0x004, 0x2000, 0x4000
    Readable, Writable, Executable, Hidden = 0x010, 0x020, 0x040, 0x100
    currentPathChanged = QtCore.Signal(str)
    validInputChanged = QtCore.Signal(bool)
    filters = stored(int, 0)
    nameFilters = stored("QStringList", ())
    options = stored(int, 0)
    label = stored(str, "")
    settingKey = stored(str, "")
    showHistoryButton = stored(bool, True)
    showBrowseButton = stored(bool, True)

    def __init__(self, *arguments):
        super().__init__(*arguments)
        edit, button = qt.QLineEdit(), qt.QToolButton()
        self.__dict__.update(_edit=edit)
        layout = qt.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(edit, 1)
        layout.addWidget(button)
        button.setText("…")
        button.connect("clicked()", self.browse)
        edit.connect("textChanged(QString)", self.currentPathChanged.emit)

    def _path(self):
        return self._edit.text

    def setCurrentPath(self, path):
        """Set the path."""
        self._edit.setText(path)

    currentPath = QtCore.Property(str, _path, setCurrentPath)

    def browse(self):
        """Let a person choose."""
        self.setCurrentPath(dialogs.ask("ctkPathLineEdit"))
