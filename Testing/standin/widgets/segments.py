"""Widgets of MRML around a segmentation node."""

import qt
from standin.qt.binding import stored
from standin.widgets.mrml import needs_vtk, qMRMLWidget

WIDGETS = ("qMRMLSegmentEditorWidget", "qMRMLSegmentationShow3DButton")


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
    """Remembers what it was told; it edits nothing."""

    standinClass = True

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.__dict__.update(_node=None, _source=None, _segment="", undoStates=0)

    def segmentationNode(self):
        """Return the segmentation."""
        return self._node

    def segmentationNodeID(self):
        """Return the segmentation's ID."""
        return self._node.GetID() if self._node is not None else ""

    def setSegmentationNode(self, node):
        """Edit a segmentation."""
        needs_vtk(node)
        self._node = node

    def sourceVolumeNode(self):
        """Return the scan."""
        return self._source

    def setSourceVolumeNode(self, node):
        """Edit on a scan."""
        needs_vtk(node)
        self._source = node

    def currentSegmentID(self):
        """Return the segment that is edited."""
        return self._segment

    def setCurrentSegmentID(self, segment_id):
        """Edit a segment."""
        self._segment = segment_id

    def saveStateForUndo(self):
        """Count the states."""
        self.undoStates += 1
