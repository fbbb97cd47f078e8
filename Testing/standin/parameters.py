"""``slicer.parameterNodeWrapper``: typed attributes kept in a real vtkMRMLScriptedModuleNode."""

import collections.abc
import json
import types
import typing
from dataclasses import dataclass

import slicer
import vtk

PROPERTY = "SlicerParameterName"


@dataclass(frozen=True)
class Default:
    """What a parameter is at first, inside ``Annotated``."""

    value: object


@dataclass(frozen=True)
class WithinRange:
    """Refuses numbers outside, inside ``Annotated``."""

    minimum: float
    maximum: float

    def validate(self, value):
        """Raise ValueError for a value outside."""
        if not self.minimum <= value <= self.maximum:
            raise ValueError(f"{value} is not within {self.minimum} and {self.maximum}")


@dataclass(frozen=True)
class Minimum:
    """Refuses numbers below, inside ``Annotated``."""

    minimum: float

    def validate(self, value):
        """Raise ValueError for a value below."""
        if value < self.minimum:
            raise ValueError(f"{value} is below {self.minimum}")


class _Field:
    """One parameter of a class: a descriptor that reads and writes the node."""

    def __init__(self, name, annotation, default):
        self.name = name
        notes = getattr(annotation, "__metadata__", ())
        kind = typing.get_args(annotation)[0] if notes else annotation
        options = [part for part in typing.get_args(kind) if part is not type(None)]
        union = typing.get_origin(kind) in {typing.Union, types.UnionType}
        self.optional = union and len(options) < len(typing.get_args(kind))
        self.kind = options[0] if union else kind
        self.checks = [note for note in notes if hasattr(note, "validate")]
        given = [note.value for note in notes if isinstance(note, Default)]
        self.default = default if default is not ... else (given[0] if given else self._first())

    @property
    def is_node(self):
        """Whether it refers to a node rather than holding a value."""
        return isinstance(self.kind, type) and issubclass(self.kind, slicer.vtkMRMLNode)

    @property
    def _is_text(self):
        return self.kind is str and not self.optional

    def _first(self):
        if self.is_node or self.optional:
            return None
        return (typing.get_origin(self.kind) or self.kind)()

    def __get__(self, wrapper, _owner=None):
        return self if wrapper is None else self.read(wrapper.parameterNode)

    def __set__(self, wrapper, value):
        self.write(wrapper.parameterNode, value)

    def is_in(self, node):
        """Tell whether the node holds the parameter."""
        return node.HasParameter(self.name)

    def read(self, node):
        """Return the value."""
        if self.is_node:
            return node.GetNodeReference(self.name)
        if not node.HasParameter(self.name):
            self.write(node, self.default)
        text = node.GetParameter(self.name)
        value = text if self._is_text else json.loads(text)
        return ObservedList(value, lambda changed: self.write(node, changed)) if isinstance(value, list) else value

    def write(self, node, value):
        """Check and keep a value."""
        if value is not None:
            for check in self.checks:
                check.validate(value)
            self._check_type(value)
        elif not (self.optional or self.is_node):
            raise TypeError(f"{self.name} cannot be None")
        if self.is_node:
            node.SetParameter(self.name, "")  # says that the parameter is there, also when it is None
            node.SetNodeReferenceID(self.name, value.GetID() if value is not None else None)
        else:
            value = list(value) if isinstance(value, ObservedList) else value
            node.SetParameter(self.name, value if self._is_text else json.dumps(value))

    def _check_type(self, value):
        wanted = typing.get_origin(self.kind) or self.kind
        if wanted is float and isinstance(value, int):
            return
        if wanted is list and isinstance(value, ObservedList):
            return
        if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
            raise TypeError(f"{self.name} takes {wanted.__name__}, got {value!r}")


class ObservedList(collections.abc.MutableSequence):
    """What a list parameter gives back: it is no list, cannot be added, and is written back when it changes."""

    def __init__(self, values, save):
        self._list, self._save = values, save

    def __eq__(self, other):
        return self._list == list(other)

    __hash__ = None

    def __len__(self):
        return len(self._list)

    def __getitem__(self, index):
        return self._list[index]

    def __setitem__(self, index, value):
        self._list[index] = value
        self._save(self._list)

    def __delitem__(self, index):
        del self._list[index]
        self._save(self._list)

    def insert(self, index, value):
        """Put a value in."""
        self._list.insert(index, value)
        self._save(self._list)

    def __add__(self, _other):
        raise NotImplementedError("lists of parameters cannot be added")

    __radd__ = __mul__ = __rmul__ = __add__


def parameterNodeWrapper(kind=None):
    """Turn a class of annotations into a wrapper around a parameter node."""
    if kind is None:
        return parameterNodeWrapper
    fields = {
        name: _Field(name, annotation, kind.__dict__.get(name, ...))
        for name, annotation in typing.get_type_hints(kind, include_extras=True).items()
    }
    described = {"__doc__": kind.__doc__, "__module__": kind.__module__}
    return type(kind.__name__, (_Wrapper,), {**fields, "allParameters": fields, **described})


class _Wrapper:
    """What every wrapper can do besides its parameters."""

    def __init__(self, parameterNode):
        self.parameterNode = parameterNode
        self._guis, self._next, self._showing = {}, 0, False
        for field in self.allParameters.values():
            if not field.is_in(parameterNode):
                field.write(parameterNode, field.default)

    def getValue(self, name):
        """Return a parameter by its name."""
        return self.allParameters[name].read(self.parameterNode)

    def setValue(self, name, value):
        """Set a parameter by its name."""
        self.allParameters[name].write(self.parameterNode, value)

    def default(self, name):
        """Return what a parameter is at first."""
        return Default(self.allParameters[name].default)

    def StartModify(self):
        """Hold events back."""
        return self.parameterNode.StartModify()

    def EndModify(self, before):
        """Let events out."""
        self.parameterNode.EndModify(before)

    def AddObserver(self, event, callback, priority=0.0):
        """Observe the node."""
        return self.parameterNode.AddObserver(event, callback, priority)

    def RemoveObserver(self, tag):
        """Observe it no longer."""
        self.parameterNode.RemoveObserver(tag)

    def Modified(self):
        """Tell observers."""
        self.parameterNode.Modified()

    def connectGui(self, gui):
        """Keep widgets and parameters the same; the property SlicerParameterName of a widget names the parameter."""
        import qt

        widgets = gui.findChildren(qt.QWidget) if isinstance(gui, qt.QWidget) else vars(gui).values()
        return self.connectParametersToGui({w.property(PROPERTY): w for w in widgets if w.property(PROPERTY)})

    def connectParametersToGui(self, mapping):
        """Keep widgets and parameters the same; the mapping is from names to widgets."""
        for name in mapping:
            if name not in self.allParameters:
                raise ValueError(f"no parameter {name!r}")
        connected = []
        for name, widget in mapping.items():
            slot = self._taker(name, widget)
            widget.connect(_access(widget)[0], slot)
            connected.append((name, widget, slot))
        tag, self._next = self._next, self._next + 1
        observer = self.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self._show())
        self._guis[tag] = (connected, observer)
        self._show()
        return tag

    def disconnectGui(self, tag):
        """Undo ``connectGui``."""
        connected, observer = self._guis.pop(tag, ((), None))
        for _name, widget, slot in connected:
            widget.disconnect(_access(widget)[0], slot)
        if observer is not None:
            self.RemoveObserver(observer)

    def _taker(self, name, widget):
        def take():
            if not self._showing:
                self.setValue(name, _access(widget)[1](widget))

        return take

    def _show(self):
        if self._showing:
            return
        self._showing = True
        try:
            for connected, _observer in self._guis.values():
                for name, widget, _slot in connected:
                    _access(widget)[2](widget, self.getValue(name))
        finally:
            self._showing = False


def _access(widget):
    """Return (signal, read, write) of a widget that can show a parameter."""
    for name, found in _WIDGETS.items():
        if widget.inherits(name):
            return found
    raise TypeError(f"no parameter can be shown in a {widget.className()}")


def _property(signal, name):
    """Return (signal, read, write) of a property; what is there already is not set again, which would move a cursor."""

    def write(widget, value):
        if getattr(widget, name) != value:
            setattr(widget, name, value)

    return signal, lambda widget: getattr(widget, name), write


_NODE = ("currentNodeChanged(vtkMRMLNode*)", lambda w: w.currentNode(), lambda w, node: w.setCurrentNode(node))
_OPEN = ("toggled(bool)", lambda w: not w.collapsed, lambda w, opened: w.setCollapsed(not opened))
_WIDGETS = {  # the first class that a widget is of
    "qMRMLNodeComboBox": _NODE,
    "ctkCollapsibleButton": _OPEN,
    "QCheckBox": _property("toggled(bool)", "checked"),
    "QPushButton": _property("toggled(bool)", "checked"),
    "QSpinBox": _property("valueChanged(int)", "value"),
    "QSlider": _property("valueChanged(int)", "value"),
    "QDoubleSpinBox": _property("valueChanged(double)", "value"),
    "ctkSliderWidget": _property("valueChanged(double)", "value"),
    "QLineEdit": _property("textChanged(QString)", "text"),
    "ctkPathLineEdit": _property("currentPathChanged(QString)", "currentPath"),
    "QComboBox": _property("currentTextChanged(QString)", "currentText"),
}
