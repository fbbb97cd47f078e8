"""Values on their way between Python and Qt, converted as PythonQt converts them."""

import functools
import math

import PySide6
from PySide6 import QtCore, QtGui

_NUMBERS = {"int", "uint", "qlonglong", "double", "float"}
_EXACT = {"QBrush", "QColor", "QFont", "QIcon", "QKeySequence", "QPixmap", "QPoint", "QRect", "QSize", "QUrl"}


def to_property(meta, value):
    """Convert a value to the type of a property: text by str, whole numbers cut, text to a list of letters.

    Raises:
        AttributeError: PySide would convert it, PythonQt does not.
    """
    kind = meta.typeName()
    if kind == "QString":
        return str(value)
    if meta.isEnumType() or meta.isFlagType():
        return value
    if kind in {"int", "uint", "qlonglong"} and not isinstance(value, str):
        return math.floor(value)
    if kind == "bool":
        return bool(value)
    if kind in {"double", "float"} and not isinstance(value, str):
        return float(value)
    if kind == "QStringList":
        return [str(part) for part in value]
    if kind in _NUMBERS or (kind in _EXACT and type(value).__name__ != kind):
        raise AttributeError(f"Property {meta.name()!r} of type {kind!r} does not accept {value!r}")
    return value


def tooltip(text):
    """Return a tooltip as Slicer's tooltip trapper leaves it: rich text, so that long lines are wrapped."""
    if not text or QtGui.Qt.mightBeRichText(text):
        return text
    return QtGui.Qt.convertFromPlainText(text, QtCore.Qt.WhiteSpaceNormal)


def from_qt(value):
    """Convert what Qt returned: lists become tuples."""
    return tuple(from_qt(part) for part in value) if isinstance(value, (list, tuple)) else value


def with_enums(arguments, error):
    """Return a call's arguments with plain numbers turned into enums, which PythonQt takes and PySide refuses.

    Args:
        arguments: Those of the refused call.
        error: PySide's complaint; it lists the signatures.

    Raises:
        TypeError: The complaint itself, where no number could stand for an enum.
    """
    enums = _enums(str(error))
    made = [enums[i](a) if type(a) is int and i in enums else a for i, a in enumerate(arguments)]
    if all(type(new) is type(old) for new, old in zip(made, arguments, strict=True)):
        raise error
    return made


def _enums(text):
    """Read the enums in the signatures of PySide's complaint, by position of the argument."""
    found = {}
    for line in text.splitlines():
        inside = line[line.find("(") + 1 : line.rfind(")")]
        for index, part in enumerate(piece for piece in inside.split(", ") if piece not in {"self", "/"}):
            path = part.partition(":")[2].partition("=")[0].strip().split(".")
            if path[0] == "PySide6" and len(path) > 2 and hasattr(PySide6, path[1]):
                thing = functools.reduce(lambda one, name: getattr(one, name, None), path[1:], PySide6)
                if isinstance(thing, type) and issubclass(thing, int):
                    found[index] = thing
    return found
