"""Who deletes an object: Python, as of what it has made and nobody has taken, or Qt. Two owners would free it twice."""

from PySide6 import QtCore, QtWidgets
from standin.qt import signals, windows

_KEY = "_ownedByPython"
_TAKES = {
    "addAction", "addLayout", "addPermanentWidget", "addRow", "addTab", "addWidget", "insertLayout", "insertRow",
    "insertTab", "insertWidget", "setCentralWidget", "setLayout", "setMenu", "setWidget",
}  # fmt: skip


def made(instance):
    """Note that Python has made an object."""
    if isinstance(instance, QtCore.QObject):
        instance.__dict__[_KEY] = QtCore.QObject.parent(instance) is None


def loaded(instance):
    """Note that Qt has made an object, as the loader of .ui files does."""
    instance.__dict__[_KEY] = False
    return instance


def owned(instance):
    """Tell whether Python deletes an object with its last reference."""
    return instance.__dict__.get(_KEY, False)


def called(instance, name, arguments):
    """Note what a call means for its objects; ``deleteLater`` of what Python deletes too is an error.

    Slicer's own dialogs do that, and hold them in a variable until the event loop has come back.
    """
    if name == "setParent":
        instance.__dict__[_KEY] = not arguments or arguments[0] is None
    elif name == "deleteLater" and owned(instance) and windows.caller().parent.name != "slicer":
        signals.report(f"freed twice: {type(instance).__name__}.deleteLater() of what Python owns, too")
    elif name in _TAKES:
        for one in arguments:
            if isinstance(one, (QtWidgets.QWidget, QtWidgets.QLayout)):
                one.__dict__[_KEY] = False
