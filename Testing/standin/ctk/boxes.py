"""Boxes of CTK: to search and to ask."""

import qt
from standin.qt.binding import stored


class ctkSearchBox(qt.QLineEdit):
    """A line to search with."""

    standinClass = True
    showSearchIcon = stored(bool, False)

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.setClearButtonEnabled(True)


class ctkMessageBox(qt.QMessageBox):
    """A question that may be asked for the last time."""

    standinClass = True
    dontShowAgain = stored(bool, False)
    dontShowAgainVisible = stored(bool, False)
    dontShowAgainSettingsKey = stored(str, "")
