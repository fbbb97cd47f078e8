"""Package ``qt`` as Slicer's Python has it, on PySide6. What Slicer may lack is absent here too."""

from importlib import import_module

_ABSENT = {"QTextCodec", "QRegExp"}  # not in every Qt that Slicer is built with


def __getattr__(name):
    if not name.startswith("Q") or name in _ABSENT:  # so Signal, Slot and Property are absent, as in PythonQt
        raise AttributeError(f"module 'qt' has no attribute {name!r}")
    if name == "QUiLoader":
        return import_module("standin.qt.special").QUiLoader
    found = import_module("standin.qt.binding").find(name)
    if found is None:
        raise AttributeError(f"module 'qt' has no attribute {name!r}")
    return found
