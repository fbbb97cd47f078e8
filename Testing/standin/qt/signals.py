"""Signals as PythonQt gives them: found by signature, connectable to any callable, exceptions printed and swallowed."""

import inspect
import sys
import traceback
import types

from PySide6 import QtCore

_OFFSCREEN = "This plugin does not support"  # what a platform without a screen says of itself
errors = []  # what went wrong in slots, virtual methods and connects; the fixture slotErrors reads it


def report(text):
    """Record an error that PythonQt would only print, and print it."""
    errors.append(text)
    sys.stderr.write(text + "\n")


def report_exception(kind, error, trace):
    """Record an exception that left a slot or a virtual method."""
    report("".join(traceback.format_exception(kind, error, trace)))


def report_message(kind, _context, text):
    """Record what Qt itself complains about; in Slicer it would only stand in the log."""
    if text.startswith("This plugin does not support"):  # there is no window system
        return
    grave = kind in {QtCore.QtMsgType.QtWarningMsg, QtCore.QtMsgType.QtCriticalMsg}
    if grave and _OFFSCREEN not in text:
        report(f"Qt: {text}")


class Signal:
    """A signal of one object: it can be connected, disconnected, and emitted by a call.

    Args:
        owner: The object.
        name: The signal's name.
        bound: PySide's signal.
        arguments: Types of the arguments, as in C++; by default those of the variant with most of them.
    """

    def __init__(self, owner, name, bound, arguments=None):
        self._owner, self._name = owner, name
        if arguments is None:
            arguments = max(_variants(owner, name), key=_count, default=None)
        self._bound = bound if arguments is None else bound[arguments]

    def connect(self, slot):
        """Call the slot whenever the signal is emitted."""
        if not callable(slot):
            report(f"{self._name}.connect: {slot!r} is not callable")
            return False
        made = _guard(slot)
        self._bound.connect(made)
        _connections(self._owner).append((self._name, slot, made))
        return True

    def disconnect(self, slot=None):
        """Stop calling the slot (all slots without one); True if it was connected."""
        known = _connections(self._owner)
        found = [entry for entry in known if entry[0] == self._name and (slot is None or entry[1] == slot)]
        for entry in found:
            self._bound.disconnect(entry[2])
            known.remove(entry)
        return bool(found)

    def emit(self, *values):
        """Emit the signal."""
        self._bound.emit(*values)

    __call__ = emit


def parse(instance, signature):
    """Return (name, types of the arguments) of a signal by its C++ signature, or None where there is no such signal.

    A signal of a class of the stand-in whose types only Slicer knows is listed in its ``typedSignals``.
    """
    normal = bytes(QtCore.QMetaObject.normalizedSignature(signature).data()).decode()
    declared = getattr(type(instance), "typedSignals", {})
    if normal in declared:
        return declared[normal], None
    name, _, rest = normal.partition("(")
    if type(instance).staticMetaObject.indexOfSignal(normal) < 0 or name in declared.values():
        return None
    return name, rest.removesuffix(")")


def _variants(instance, name):
    """Return the arguments of all signals of a name."""
    meta = type(instance).staticMetaObject
    methods = [meta.method(index) for index in range(meta.methodCount())]
    found = [m for m in methods if m.methodType() == QtCore.QMetaMethod.Signal and m.name().data().decode() == name]
    return [m.methodSignature().data().decode().partition("(")[2].removesuffix(")") for m in found]


def _count(arguments):
    return arguments.count(",") + bool(arguments)


def _connections(owner):
    return owner.__dict__.setdefault("_connections", [])


def _guard(slot):
    """Wrap a slot: a Python function gets as many arguments as it takes, any other callable gets all."""
    limit = _argument_count(slot)

    def call(*values):
        try:
            slot(*values[:limit])
        except Exception:
            report_exception(*sys.exc_info())

    return call


def _argument_count(slot):
    code = getattr(slot, "__code__", None)
    if code is None or code.co_flags & inspect.CO_VARARGS:
        return None
    return code.co_argcount - isinstance(slot, types.MethodType)
