"""Widgets of MRML around a segmentation node."""

from typing import ClassVar

import qt
from PySide6 import QtCore
from standin.qt.binding import stored
from standin.widgets.mrml import needs_vtk, qMRMLWidget

WIDGETS = (
    "qMRMLSegmentEditorWidget",
    "qMRMLSegmentSelectorWidget",
    "qMRMLSegmentationShow3DButton",
    "qMRMLSegmentsTableView",
)


class qMRMLSegmentsTableView(qMRMLWidget):
    """Lists the segments of a node."""

    standinClass = True
    readOnly = stored(bool, False)
    headerVisible = stored(bool, True)
    visibilityColumnVisible = stored(bool, True)
    colorColumnVisible = stored(bool, True)
    opacityColumnVisible = stored(bool, True)
    statusColumnVisible = stored(bool, False)
    layerColumnVisible = stored(bool, False)
    filterBarVisible = stored(bool, False)
    selectionMode = stored(int, 3)
    selectionChanged = QtCore.Signal(object, object)
    typedSignals: ClassVar = {"selectionChanged(QItemSelection,QItemSelection)": "selectionChanged"}

    def __init__(self, *arguments):
        super().__init__(*arguments)
        table = qt.QTableWidget(0, 1)
        self.__dict__.update(_table=table, _node=None, _ids=())
        layout = qt.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(table)
        table.setHorizontalHeaderLabels(["Name"])
        table.horizontalHeader().setStretchLastSection(True)
        table.connect("itemSelectionChanged()", self._selected)

    def _selected(self):
        self.selectionChanged.emit(None, None)

    def segmentationNode(self):
        """Return the node."""
        return self._node

    def setSegmentationNode(self, node):
        """Show a node's segments."""
        needs_vtk(node)
        ids = node.GetSegmentation().GetSegmentIDs() if node is not None else ()
        self._node, self._ids = node, tuple(ids)
        self._table.setRowCount(len(ids))
        for row, segment_id in enumerate(ids):
            segment = node.GetSegmentation().GetSegment(segment_id)
            item = qt.QTableWidgetItem(segment.GetName())
            item.setData(qt.Qt.DecorationRole, qt.QColor.fromRgbF(*segment.GetColor()))
            self._table.setItem(row, 0, item)

    def displayedSegmentIDs(self):
        """Return the IDs of the segments shown."""
        return self._ids

    def selectedSegmentIDs(self):
        """Return the IDs of the segments selected."""
        rows = sorted({index.row() for index in self._table.selectedIndexes()})
        return tuple(self._ids[row] for row in rows)

    def setSelectedSegmentIDs(self, ids):
        """Select segments."""
        self._table.clearSelection()
        for segment_id in ids:
            self._table.selectRow(self._ids.index(segment_id))

    def clearSelection(self):
        """Select nothing."""
        self._table.clearSelection()


class qMRMLSegmentSelectorWidget(qMRMLWidget):
    """Chooses a segmentation and one segment of it."""

    standinClass = True
    currentNodeChanged = QtCore.Signal(object)
    currentSegmentChanged = QtCore.Signal(str)
    typedSignals: ClassVar = {"currentNodeChanged(vtkMRMLNode*)": "currentNodeChanged"}

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.__dict__.update(_node=None, _segment="")

    def currentNode(self):
        """Return the segmentation."""
        return self._node

    def setCurrentNode(self, node):
        """Choose a segmentation."""
        needs_vtk(node)
        self._node = node
        self.currentNodeChanged.emit(node)

    def currentSegmentID(self):
        """Return the segment's ID."""
        return self._segment

    def setCurrentSegmentID(self, segment_id):
        """Choose a segment."""
        self._segment = segment_id
        self.currentSegmentChanged.emit(segment_id)


class qMRMLSegmentationShow3DButton(qt.QPushButton):
    """Shows surfaces."""

    standinClass = True
    locked = stored(bool, False)

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.__dict__["_node"] = None
        self.setText("Show 3D")
        self.setCheckable(True)
        self.connect("toggled(bool)", self._toggled)

    def segmentationNode(self):
        """Return the node."""
        return self._node

    def setSegmentationNode(self, node):
        """Choose a node."""
        needs_vtk(node)
        self._node = node
        self.setEnabled(node is not None)

    def _toggled(self, on):
        if self._node is not None:
            make = self._node.CreateClosedSurfaceRepresentation if on else self._node.RemoveClosedSurfaceRepresentation
            make()


class qMRMLSegmentEditorWidget(qMRMLWidget):
    """Records what it was told; it edits nothing."""

    standinClass = True

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.__dict__.update(_values={}, _undo=0)

    def _value(name):  # makes getter and setter while the class is made
        def get(self):
            return self._values.get(name)

        def put(self, value):
            self._values[name] = value

        return get, put

    segmentationNode, setSegmentationNode = _value("segmentation")
    sourceVolumeNode, setSourceVolumeNode = _value("source")
    currentSegmentID, setCurrentSegmentID = _value("segment")
    mrmlSegmentEditorNode, setMRMLSegmentEditorNode = _value("editor")
    activeEffectName, setActiveEffectByName = _value("effect")
    del _value

    def saveStateForUndo(self):
        """Count."""
        self._undo += 1
