"""Makes the QObjects of PySide behave like those of PythonQt, for the whole process."""

import shiboken6
from PySide6 import QtCore, QtGui, QtWidgets
from standin.qt import ownership, signals, truth, values, windows

_attribute = {}  # class of PySide -> its own way to look up attributes (some methods are static and not)
_kept = []  # Python halves of objects that only C++ holds
_OVERRIDE = "Error calling Python override"  # PySide hands such an error to whom has called Qt; PythonQt prints it


def find(name):
    """Return a class of Qt, or what else there is of that name, or None."""
    return next((getattr(module, name) for module in (QtCore, QtGui, QtWidgets) if hasattr(module, name)), None)


def start():
    """Give all QObjects of PySide the manners of PythonQt; also those that Qt itself makes."""
    named = [getattr(module, name) for module in (QtCore, QtGui, QtWidgets) for name in dir(module)]
    kinds = [kind for kind in named if isinstance(kind, type) and issubclass(kind, QtCore.QObject)]
    for kind in (QtWidgets.QListWidgetItem, QtWidgets.QTableWidgetItem, QtWidgets.QTreeWidgetItem):
        kind.__setattr__ = _set_item
    for kind in {kind for kind in named if isinstance(kind, type)}:
        truth.give(kind)
    for kind in sorted(set(kinds), key=lambda kind: len(kind.__mro__)):
        if "__getattribute__" in kind.__dict__:
            _attribute[kind] = kind.__getattribute__
            kind.__getattribute__ = _get
        kind.__setattr__ = _set
        kind.__init__ = _initializer(kind.__init__)


def cpp_name(instance):
    """Return the name of an object's C++ class, also for a Python subclass."""
    return next(kind.__name__ for kind in type(instance).__mro__ if _is_cpp(kind))


def keep(instance):
    """Keep the Python half of an object alive as long as its C++ half lives."""
    _kept.append(instance)
    return instance


def forget():
    """Delete all windows, as if the application had been closed."""
    for window in QtWidgets.QApplication.topLevelWidgets():
        if shiboken6.isValid(window) and _plain(window, "parent")() is None:
            shiboken6.delete(window)
    _kept[:] = [one for one in _kept if shiboken6.isValid(one)]


def stored(kind, first):
    """Return a property of C++ that only keeps its value, for the stand-in's own classes."""
    key = object()
    return QtCore.Property(
        kind,
        lambda self: self.__dict__.get(key, first),
        lambda self, value: self.__dict__.__setitem__(key, value),
    )


class Extra:
    """What every QObject has in PythonQt besides, or instead of, what PySide gives it."""

    def connect(self, signature, receiver, slot=None):
        """Connect a signal, named by its C++ signature, to a callable or to a named slot of an object."""
        found = signals.parse(self, signature)
        if found is None:
            signals.report(f"connect: no signal {signature} in {cpp_name(self)}")
            return False
        target = receiver if slot is None else getattr(receiver, slot.partition("(")[0])
        return _signal(self, *found).connect(target)

    def disconnect(self, signature, receiver=None, slot=None):
        """Undo ``connect``; False where nothing was connected."""
        found = signals.parse(self, signature)
        target = receiver if slot is None else getattr(receiver, slot.partition("(")[0])
        return found is not None and _signal(self, *found).disconnect(target)

    def className(self):
        """Return the name of the C++ class."""
        return cpp_name(self)

    def inherits(self, name):
        """Tell whether the object is of a C++ class of this name."""
        return any(name == kind.__name__ for kind in type(self).__mro__)

    def delete(self):
        """Delete the C++ half at once."""
        shiboken6.delete(self)

    def findChild(self, kind, name=""):
        """Return the first descendant of a class with a name, or None."""
        return next(iter(Extra.findChildren(self, kind, name)), None)

    def findChildren(self, kind, name=""):
        """Return the descendants of a class with a name, as a tuple."""
        found = _plain(self, "findChildren")(QtCore.QObject)
        return tuple(child for child in found if isinstance(child, kind) and (not name or child.objectName == name))

    def setProperty(self, name, value):
        """Set a property, also one that does not exist yet."""
        found = _property(self, name)
        if found is None:
            return _plain(self, "setProperty")(name, value)
        _write(self, found, value)
        return True


def _initializer(original):
    def __init__(self, *arguments, **named):
        if named:
            raise ValueError(f"{cpp_name(self)}() takes no keyword arguments, got {sorted(named)}")
        try:
            original(self, *arguments)
        except TypeError as error:
            original(self, *values.with_enums(arguments, error))
        ownership.made(self)

    return __init__


def _is_cpp(kind):
    return kind.__module__.startswith("PySide6") or "standinClass" in kind.__dict__


def _get(self, name):
    """Look an attribute up: Python's own first, then properties, then signals, methods and dynamic properties."""
    if name.startswith("__"):
        return _plain(self, name)
    if _is_python(self, name):
        return _python(self, name)
    if name in Extra.__dict__:
        return Extra.__dict__[name].__get__(self)
    found = _property(self, name)
    if found is not None:
        return values.from_qt(_read(self, found))
    member = _plain(self, name, None)
    if isinstance(member, QtCore.SignalInstance):
        return _signal(self, name)
    if callable(member):
        return _method(self, name, member)
    if member is not None:
        return member
    if name in _dynamic_names(self):
        return _plain(self, "property")(name)
    raise AttributeError(f"{cpp_name(self)} has no attribute named {name!r}")


def _set(self, name, value):
    """Set a property, or an attribute of a Python subclass; a C++ object takes no new attributes."""
    found = _property(self, name)
    if found is not None and not _is_python(self, name):
        if not found.isWritable():
            raise AttributeError(f"Property {name!r} of {cpp_name(self)} is not writable")
        _write(self, found, value)
    elif name in _dynamic_names(self):
        _plain(self, "setProperty")(name, value)
    elif _is_cpp(type(self)) and not _is_internal(self, name, value):
        raise _refusal(self, name)
    elif isinstance(own := getattr(type(self), name, None), property):
        own.__set__(self, value)
    else:
        _plain(self, "__dict__")[name] = value


def _set_item(self, name, _value):
    """Refuse: an item has neither properties nor attributes."""
    raise _refusal(self, name)


def _refusal(instance, name):
    kind = cpp_name(instance)
    return AttributeError(
        f"Attribute {name!r} does not exist on {kind} and creating new attributes on C++ objects is not allowed"
    )


def _is_internal(instance, name, value):
    """Tell whether PySide or the stand-in itself keeps something on the object."""
    held = name in _plain(instance, "__dict__")
    return held or name.startswith("__") or isinstance(value, QtCore.SignalInstance)


def _plain(instance, name, *default):
    """Look an attribute up as PySide does."""
    own = next(_attribute[kind] for kind in type(instance).__mro__ if kind in _attribute)
    try:
        return own(instance, name)
    except AttributeError:
        if default:
            return default[0]
        raise


def _is_python(instance, name):
    """Tell whether Python code defined the attribute: in a subclass, in the stand-in's class or on the object."""
    for kind in type(instance).__mro__:
        if kind.__module__.startswith("PySide6"):
            break
        if name in kind.__dict__:
            return not isinstance(kind.__dict__[name], (QtCore.Property, QtCore.Signal))
    held = _plain(instance, "__dict__")
    return name in held and not isinstance(held[name], QtCore.SignalInstance)  # PySide keeps its signals there


def _python(instance, name):
    """Return what Python code defined; PySide itself would prefer its own ``connect``."""
    for kind in type(instance).__mro__:
        if kind.__module__.startswith("PySide6"):
            break
        found = kind.__dict__.get(name)
        if hasattr(type(found), "__get__") and name in kind.__dict__:
            return found.__get__(instance, type(instance))
    return _plain(instance, name)


def _property(instance, name):
    meta = type(instance).staticMetaObject  # the object's own would die with it, and this one too
    index = meta.indexOfProperty("objectName" if name == "name" else name)
    return meta.property(index) if index >= 0 else None


def _dynamic_names(instance):
    return [bytes(name.data()).decode() for name in _plain(instance, "dynamicPropertyNames")()]


def _read(instance, meta):
    """Read a property by its getter, which gives better types than a variant."""
    name = meta.name()
    for reader in (name, f"is{name[0].upper()}{name[1:]}"):
        method = _plain(instance, reader, None)
        if callable(method) and not isinstance(method, QtCore.SignalInstance):
            try:
                return method()
            except TypeError:
                continue
    return _plain(instance, "property")(name)


def _write(instance, meta, value):
    name = meta.name()
    value = values.to_property(meta, value)
    if name == "visible" and value:
        windows.shown(instance)
    if name == "toolTip" and isinstance(instance, QtWidgets.QWidget):
        value = values.tooltip(value)
    setter = _plain(instance, f"set{name[0].upper()}{name[1:]}", None)
    if setter is None:
        _plain(instance, "setProperty")(name, value)
        return
    _call(setter, [value])


def _call(function, arguments):
    try:
        return function(*arguments)
    except TypeError as error:
        if _OVERRIDE in str(error):
            return signals.report_exception(type(error), error, error.__traceback__)
        return function(*values.with_enums(arguments, error))
    except Exception as error:
        if _OVERRIDE not in str(error):
            raise
        return signals.report_exception(type(error), error, error.__traceback__)


def _signal(instance, name, arguments=None):
    return signals.Signal(instance, name, _plain(instance, name), arguments)


def _method(instance, name, found):
    """Return a method that takes and gives values as PythonQt does."""
    meta = _property(instance, name[3].lower() + name[4:]) if name.startswith("set") and len(name) > 3 else None

    def call(*arguments, **named):
        if named:
            raise ValueError(f"{name}() takes no keyword arguments, got {sorted(named)}")
        ownership.called(instance, name, arguments)
        if name == "show":
            windows.shown(instance)
        try:
            if meta is not None and len(arguments) == 1:
                return _write(instance, meta, arguments[0])
            return values.from_qt(_call(found, arguments))
        except (AttributeError, TypeError) as error:
            raise ValueError(f"called {cpp_name(instance)}.{name} with wrong arguments: {error}") from error

    call.__name__ = name
    return call
