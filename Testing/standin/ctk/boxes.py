"""Boxes of CTK: to search, to choose, to tick and to ask."""

import qt
from PySide6 import QtCore
from standin.qt.binding import stored


class ctkSearchBox(qt.QLineEdit):
    """A line to search with."""

    standinClass = True
    showSearchIcon = stored(bool, False)

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.setClearButtonEnabled(True)


class ctkComboBox(qt.QComboBox):
    """A combo box with a text for nothing chosen."""

    standinClass = True
    defaultText = stored(str, "")


class ctkCheckableComboBox(qt.QComboBox):
    """A combo box whose entries are ticked."""

    standinClass = True
    checkedIndexesChanged = QtCore.Signal()

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.model().connect("dataChanged(QModelIndex,QModelIndex,QVector<int>)", self._told)

    def checkableModel(self):
        """Return the model of the entries."""
        return self.model()

    def checkedIndexes(self):
        """Return the ticked entries."""
        indexes = [self.model().index(row, 0) for row in range(self.count)]
        return tuple(index for index in indexes if self.checkState(index) == qt.Qt.Checked)

    def setCheckState(self, index, state):
        """Tick an entry."""
        self.model().setData(index, qt.Qt.CheckState(state), qt.Qt.CheckStateRole)
        self.checkedIndexesChanged.emit()

    def checkState(self, index):
        """Tell whether an entry is ticked."""
        return qt.Qt.CheckState(index.data(qt.Qt.CheckStateRole) or 0)

    def allChecked(self):
        """Tell whether all entries are ticked."""
        return len(self.checkedIndexes()) == self.count

    def noneChecked(self):
        """Tell whether no entry is ticked."""
        return not self.checkedIndexes()


class ctkMessageBox(qt.QMessageBox):
    """A question that may be asked for the last time."""

    standinClass = True
    dontShowAgain = stored(bool, False)
    dontShowAgainVisible = stored(bool, False)
    dontShowAgainSettingsKey = stored(str, "")
