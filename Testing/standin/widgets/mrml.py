"""Widgets of MRML that show nodes of the real scene."""

from typing import ClassVar

import qt
import shiboken6
import vtk
from PySide6 import QtCore
from standin.qt.binding import stored

WIDGETS = ("qMRMLWidget", "qMRMLNodeComboBox")


def needs_vtk(node):
    """Refuse what is neither a VTK object nor None, as PythonQt does."""
    if node is not None and not isinstance(node, vtk.vtkObjectBase):
        raise TypeError("method requires a VTK object")


def observe(widget, subject, event, changed, with_node=False):
    """Call when a VTK object says something, as long as the widget lives; return the observer's tag."""

    @vtk.calldata_type(vtk.VTK_OBJECT if with_node else vtk.VTK_STRING)
    def call(caller, _event, data=None):
        if shiboken6.isValid(widget):
            changed(*([data] if with_node else []))
        else:
            caller.RemoveObserver(tag)

    tag = subject.AddObserver(event, call)
    return tag


class qMRMLWidget(qt.QWidget):
    """A widget that knows the scene."""

    standinClass = True
    mrmlSceneChanged = QtCore.Signal(object)
    typedSignals: ClassVar = {"mrmlSceneChanged(vtkMRMLScene*)": "mrmlSceneChanged"}

    def mrmlScene(self):
        """Return the scene."""
        return self.__dict__.get("_scene")

    def setMRMLScene(self, scene):
        """Set the scene; widgets below hear of it only where somebody connects them."""
        needs_vtk(scene)
        if scene is not self.mrmlScene():
            self.__dict__["_scene"] = scene
            self.mrmlSceneChanged.emit(scene)


class qMRMLNodeComboBox(qt.QWidget):
    """Chooses a node of the scene; most of what it says comes from the scene and not from a person.

    ``currentNodeChanged`` comes with the first node that is added, also within a batch; with a node that is renamed;
    with one that is removed, while it still is in the scene; at the end of an import and of a close.
    ``nodeActivated`` comes from a person, and from ``setCurrentNode``. Compared with the real widget of Slicer 5.12.3.
    """

    standinClass = True
    currentNodeChanged = QtCore.Signal(object)
    nodePresent = QtCore.Signal(bool)
    currentNodeIDChanged = QtCore.Signal(str)
    nodeAdded = QtCore.Signal(object)
    nodeAddedByUser = QtCore.Signal(object)
    nodeActivated = QtCore.Signal(object)
    typedSignals: ClassVar = {
        "currentNodeChanged(vtkMRMLNode*)": "currentNodeChanged",
        "currentNodeChanged(bool)": "nodePresent",
        "currentNodeIDChanged(QString)": "currentNodeIDChanged",
        "nodeAdded(vtkMRMLNode*)": "nodeAdded",
        "nodeAddedByUser(vtkMRMLNode*)": "nodeAddedByUser",
        "nodeActivated(vtkMRMLNode*)": "nodeActivated",
    }
    showHidden = stored(bool, False)
    showChildNodeTypes = stored(bool, True)
    baseName = stored(str, "")
    addEnabled = stored(bool, True)
    removeEnabled = stored(bool, True)
    editEnabled = stored(bool, False)
    renameEnabled = stored(bool, False)
    selectNodeUponCreation = stored(bool, True)
    interactionNodeSingletonTag = stored(str, "")

    def __init__(self, *arguments):
        super().__init__(*arguments)
        box = qt.QComboBox()
        self.__dict__.update(_box=box, _scene=None, _node=None, _tags=(), _wanted={}, _text="")
        self.__dict__.update(_types=(), _none=False, _noneText="None", _count=0, _named=None)
        layout = qt.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(box)
        box.connect("activated(int)", self._activated)
        self._fill()

    def _get_types(self):
        return list(self._types)

    def setNodeTypes(self, types):
        """Set the classes of nodes that are offered."""
        self._types = tuple(types)
        self._fill()

    def _get_none(self):
        return self._none

    def setNoneEnabled(self, enabled):
        """Offer no node, too."""
        self._none = bool(enabled)
        self._fill()

    def _get_none_text(self):
        return self._noneText

    def setNoneDisplay(self, text):
        """Set how no node is called."""
        self._noneText = text
        self._fill()

    def _get_id(self):
        return self._node.GetID() if self._node is not None else ""

    def setCurrentNodeID(self, node_id):
        """Choose a node by its ID."""
        self.setCurrentNode(self._scene.GetNodeByID(node_id) if self._scene is not None and node_id else None)

    nodeTypes = QtCore.Property("QStringList", _get_types, setNodeTypes)
    noneEnabled = QtCore.Property(bool, _get_none, setNoneEnabled)
    noneDisplay = QtCore.Property(str, _get_none_text, setNoneDisplay)
    currentNodeID = QtCore.Property(str, _get_id, setCurrentNodeID)

    def mrmlScene(self):
        """Return the scene."""
        return self._scene

    def setMRMLScene(self, scene):
        """Show the nodes of a scene."""
        needs_vtk(scene)
        for tag in self._tags:
            self._scene.RemoveObserver(tag)
        self._scene, self._tags = scene, ()
        if scene is not None:
            events = (scene.NodeAddedEvent, scene.EndCloseEvent, scene.EndImportEvent)
            tags = [observe(self, scene, event, self._scene_changed) for event in events]
            tags.append(observe(self, scene, scene.NodeAboutToBeRemovedEvent, self._node_leaves, with_node=True))
            self._tags = tuple(tags)
        self._fill()
        if self._node is not None:
            self.nodeActivated.emit(self._node)

    def addAttribute(self, node_type, name, value=None):
        """Offer only nodes of a type that have an attribute."""
        self._wanted[node_type, name] = value

    def currentNode(self):
        """Return the chosen node, or None."""
        return self._node

    def setCurrentNode(self, node):
        """Choose a node; one that is not offered means none."""
        if isinstance(node, str):
            raise TypeError("method requires a VTK object")
        needs_vtk(node)
        chosen = node if node in self._offered() else None
        other = chosen is not self._node
        self._choose(chosen)
        if other and chosen is not None:
            self.nodeActivated.emit(chosen)

    def nodeCount(self):
        """Return how many nodes are offered."""
        return len(self._offered())

    def nodeFromIndex(self, index):
        """Return an offered node."""
        return self._offered()[index]

    def _offered(self):
        if self._scene is None:
            return []
        nodes = [self._scene.GetNthNode(i) for i in range(self._scene.GetNumberOfNodes())]
        return [node for node in nodes if self._fits(node)]

    def _fits(self, node):
        children = self.showChildNodeTypes
        fits = any(node.IsA(kind) if children else node.GetClassName() == kind for kind in self._types)
        if not fits or (node.GetHideFromEditors() and not self.showHidden):
            return False
        for (kind, name), value in self._wanted.items():
            held = node.GetAttribute(name)
            if node.IsA(kind) and (held is None or (value is not None and held != str(value))):
                return False
        return True

    def _scene_changed(self):
        if not self._scene.IsImporting():  # ids and references are not right yet
            self._fill()

    def _node_leaves(self, node):
        if not self._scene.IsClosing():
            self._fill(without=node)

    def _fill(self, without=None):
        offered = [node for node in self._offered() if node is not without]
        before = self._box.currentIndex
        self._box.blockSignals(True)
        self._box.clear()
        if self._none:
            self._box.addItem(self._noneText)
        for node in offered:
            self._box.addItem(node.GetName())
        self._box.blockSignals(False)
        kept = self._node if self._node in offered else None
        if kept is None and offered and not self._none and (self._node is not None or not self._count):
            kept = offered[max(0, min(before - 1, len(offered) - 1))]  # a neighbour, or the first of all
        self._count = len(offered)
        self._choose(kept, offered)

    def _choose(self, node, offered=None):
        offered = self._offered() if offered is None else offered
        self._box.blockSignals(True)
        self._box.setCurrentIndex(offered.index(node) + self._none if node is not None else self._none - 1)
        self._box.blockSignals(False)
        before, self._node = self._node, node
        self._hear(node)
        text = self._box.currentText
        if text != self._text or node is not before:
            self._text = text
            self.currentNodeChanged.emit(node)
            self.nodePresent.emit(node is not None)
            self.currentNodeIDChanged.emit(self._get_id())

    def _hear(self, node):
        """Hear of a new name of the node."""
        if self._named is not None:
            self._named[0].RemoveObserver(self._named[1])
        tag = None if node is None else observe(self, node, vtk.vtkCommand.ModifiedEvent, self._renamed)
        self._named = None if node is None else (node, tag)

    def _renamed(self):
        if self._node.GetName() != self._text:
            self._fill()

    def _activated(self, row):
        offered = self._offered()
        index = row - self._none
        node = offered[index] if 0 <= index < len(offered) else None
        self._choose(node)
        self.nodeActivated.emit(node)
