"""``slicer.parameterNodeWrapper``: typed attributes kept in a real vtkMRMLScriptedModuleNode."""

import collections.abc
import json
import typing

import slicer


class _Field:
    """One parameter of a class: a descriptor that reads and writes the node."""

    def __init__(self, name, kind, default):
        self.name, self.kind = name, kind
        self.type = typing.get_origin(kind) or kind
        self.is_node = issubclass(self.type, slicer.vtkMRMLNode)
        self.default = (None if self.is_node else self.type()) if default is ... else default

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
        text = node.GetParameter(self.name)
        value = text if self.type is str else json.loads(text)
        return ObservedList(value, lambda changed: self.write(node, changed)) if self.type is list else value

    def write(self, node, value):
        """Check and keep a value."""
        self._check_type(value)
        if self.is_node:
            node.SetParameter(self.name, "")  # says that the parameter is there, also when it is None
            node.SetNodeReferenceID(self.name, value.GetID() if value is not None else None)
        elif self.type is str:
            node.SetParameter(self.name, value)
        else:
            node.SetParameter(self.name, json.dumps(list(value) if self.type is list else value))

    def _check_type(self, value):
        allowed = {float: (int, float), list: (list, ObservedList)}.get(self.type, self.type)
        empty = self.is_node and value is None
        if not empty and (not isinstance(value, allowed) or (isinstance(value, bool) and self.type is not bool)):
            raise TypeError(f"{self.name} takes {self.type.__name__}, got {value!r}")


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


def parameterNodeWrapper(kind):
    """Turn a class of annotations into a wrapper around a parameter node."""
    hints = typing.get_type_hints(kind)
    fields = {name: _Field(name, hint, kind.__dict__.get(name, ...)) for name, hint in hints.items()}
    described = {"__doc__": kind.__doc__, "__module__": kind.__module__}
    return type(kind.__name__, (_Wrapper,), {**fields, "allParameters": fields, **described})


class _Wrapper:
    """What every wrapper can do besides its parameters."""

    def __init__(self, parameterNode):
        self.parameterNode = parameterNode
        for field in self.allParameters.values():
            if not field.is_in(parameterNode):
                field.write(parameterNode, field.default)

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
