"""Widgets of MRML around a segmentation node."""

from types import SimpleNamespace
from typing import ClassVar

import qt
import slicer
import vtk
from standin.qt.binding import stored
from standin.widgets.mrml import needs_vtk, qMRMLWidget

_LOGIC = slicer.vtkSlicerSegmentationsModuleLogic

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


class SegmentsTable:
    """What a table of segments (qMRMLSegmentsModel) does to the segmentation that it shows.

    An item is written back to its segment whenever something of the item changes. After a modification of the node that
    ends (EndModify) all items are read anew, first their place in the list: where that has changed, the item's earlier
    name, colour, code and status are written over what the segment has got meanwhile.
    """

    _EVENTS = ("SegmentAdded", "SegmentRemoved", "SegmentModified")

    def __init__(self):
        self._node, self._tags, self._items = None, (), {}

    def show(self, node):
        """Show the segments of a node, or none."""
        for tag in self._tags:
            self._node.RemoveObserver(tag)
        self._node, self._items, self._tags = node, {}, ()
        if node is not None:
            events = [getattr(slicer.vtkSegmentation, name) for name in self._EVENTS]
            self._tags = tuple(node.AddObserver(event, self._changed) for event in events)
            self._changed(node, "")

    @vtk.calldata_type(vtk.VTK_STRING)
    def _changed(self, node, _event, segment_id=None):
        ids = list(node.GetSegmentation().GetSegmentIDs())
        self._items = {found: item for found, item in self._items.items() if found in ids}
        for found in ids if not segment_id else [found for found in ids if found == segment_id]:
            self._read(found, ids.index(found))

    def _read(self, segment_id, place):
        segment = self._node.GetSegmentation().GetSegment(segment_id)
        item = self._items.get(segment_id)
        if item is None:
            self._items[segment_id] = {
                "place of name": place, "name": segment.GetName(), "color": segment.GetColor(),
                "terminology": segment.GetTerminology(),
                "place of status": place, "status": _LOGIC.GetSegmentStatus(segment),
            }  # fmt: skip
            return
        self._read_name(segment, item, place)
        self._read_status(segment, item, place)

    def _read_name(self, segment, item, place):
        current = (("place of name", lambda: place), ("name", segment.GetName), ("color", segment.GetColor),
                   ("terminology", segment.GetTerminology))  # fmt: skip
        for key, read in current:  # one after the other, and each change is written back with what is not read yet
            if item[key] != read():
                item[key] = read()
                self._write(segment, item)

    @staticmethod
    def _read_status(segment, item, place):
        if item["place of status"] != place:
            item["place of status"] = place
            _LOGIC.SetSegmentStatus(segment, item["status"])
        item["status"] = _LOGIC.GetSegmentStatus(segment)

    @staticmethod
    def _write(segment, item):
        segment.SetTerminology(item["terminology"])
        segment.SetColor(item["color"])
        segment.SetName(item["name"])


class ctkSizeGrip(qt.QWidget):
    """The edge of a frame that a person drags, or that code gives another size."""

    standinClass = True

    def setWidgetSizeHint(self, size):
        """Give the frame another height."""
        self.parent().setFixedHeight(size.height())


class _SegmentsFrame(qt.QFrame):
    """The table of segments, which a person can drag higher; 196 pixels at first."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.setObjectName("SegmentsTableResizableFrame")
        self.setFixedHeight(196)
        ctkSizeGrip(self)


class _MaskingBox(qt.QGroupBox):
    """The section for masks, which is open at first."""

    def __init__(self, *arguments):
        super().__init__("Masking", *arguments)
        self.setObjectName("MaskingGroupBox")
        self._collapse(False)

    def _collapse(self, collapsed):
        self.__dict__["_collapsed"] = collapsed
        self.setFixedHeight(33 if collapsed else 113)

    collapsed = property(lambda self: self._collapsed, _collapse)


def _effectOptions(parent, boxes):
    """Make the options of an effect: nothing, or the diameter of a brush and a row of check boxes of these widths."""
    frame = qt.QFrame(parent)
    layout = qt.QVBoxLayout(frame)
    layout.setContentsMargins(0, 0, 0, 0)
    if boxes:
        form, label, field = qt.QFormLayout(), qt.QLabel("Diameter:", frame), qt.QFrame(frame)
        label.setMinimumWidth(65)
        field.setMinimumWidth(169)
        form.addRow(label, field)
        row = qt.QHBoxLayout()
        row.setSpacing(9)
        for width in boxes:
            box = qt.QCheckBox(frame)
            box.setMinimumWidth(width)
            row.addWidget(box)
        layout.addLayout(form)
        layout.addLayout(row)
    return frame


class qMRMLSegmentEditorWidget(qMRMLWidget):
    """Remembers what it was told, shows a table of segments, and edits voxels when a test says so.

    Its buttons and tables are empty frames with the names and the sizes of the real ones (Slicer 5.12.3); the options
    of an effect, with the section for masks, are shown while it is used. Those of a brush stand in rows that need more
    width than a narrow dock has.
    """

    standinClass = True
    _BOXES: ClassVar = {"Draw": (), "Paint": (112, 130, 116), "Erase": (112, 130, 149)}
    unorderedEffectsVisible = stored(bool, True)

    def __init__(self, *arguments):
        super().__init__(*arguments)
        history = slicer.vtkSegmentationHistory()
        self.__dict__.update(_node=None, _source=None, _segment="", _table=SegmentsTable(), _history=history)
        self.__dict__.update(undoStates=0, shown={}, effects=(), observing=False, _parameters=None, _effect="")
        layout = qt.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(_SegmentsFrame(self))
        self.__dict__["_options"] = options = qt.QFrame(self)
        inner = qt.QVBoxLayout(options)
        inner.setContentsMargins(110, 9, 8, 9)  # beside the buttons of the effects
        frames = {name: _effectOptions(options, boxes) for name, boxes in self._BOXES.items()}
        for frame in (*frames.values(), _MaskingBox(options)):
            inner.addWidget(frame)
        self.__dict__["_frames"] = frames
        layout.addWidget(options)
        layout.addStrut(200)
        self._use("")

    def mrmlSegmentEditorNode(self):
        """Return the parameters."""
        return self._parameters

    def setMRMLSegmentEditorNode(self, node):
        """Set the parameters, which have to be there before a segmentation is."""
        needs_vtk(node)
        self._parameters = node

    def setEffectNameOrder(self, names):
        """Set which effects come first."""
        self.effects = tuple(names)

    def setMaximumNumberOfUndoStates(self, number):
        """Set how many states can be undone."""
        self.shown["undo states"] = number

    def setAddRemoveSegmentButtonsVisible(self, visible):
        """Show or hide buttons."""
        self.shown["AddRemoveSegmentButtons"] = visible

    def setSegmentationNodeSelectorVisible(self, visible):
        """Show or hide the selector of segmentations."""
        self.shown["SegmentationNodeSelector"] = visible

    def setShow3DButtonVisible(self, visible):
        """Show or hide the button for surfaces."""
        self.shown["Show3DButton"] = visible

    def setSourceVolumeNodeSelectorVisible(self, visible):
        """Show or hide the selector of scans."""
        self.shown["SourceVolumeNodeSelector"] = visible

    def setSpecifyGeometryButtonVisible(self, visible):
        """Show or hide the button for the geometry."""
        self.shown["SpecifyGeometryButton"] = visible

    def setSwitchToSegmentationsButtonVisible(self, visible):
        """Show or hide the button for the module Segmentations."""
        self.shown["SwitchToSegmentationsButton"] = visible

    def activeEffect(self):
        """Return the effect that is used, or None."""
        return self.effectByName(self._effect)

    def effectByName(self, name):
        """Return an effect, or None."""
        frame = self._frames.get(name)
        return None if frame is None else SimpleNamespace(name=name, optionsFrame=lambda: frame)

    def setActiveEffectByName(self, name):
        """Use an effect, as a person does by its button."""
        self._use(name if name in self.effects or self.unorderedEffectsVisible else "")

    def setActiveEffect(self, effect):
        """Use an effect, or none."""
        self._use("" if effect is None else effect.name)

    def _use(self, name):
        self.__dict__["_effect"] = name
        self._options.setVisible(bool(name))
        for each, frame in self._frames.items():
            frame.setVisible(each == name)

    def setupViewObservations(self):
        """Follow the mouse in the views."""
        self.observing = True

    def removeViewObservations(self):
        """Follow the mouse no longer."""
        self.observing = False

    def segmentationNode(self):
        """Return the segmentation."""
        return self._node

    def segmentationNodeID(self):
        """Return the segmentation's ID."""
        return self._node.GetID() if self._node is not None else ""

    def setSegmentationNode(self, node):
        """Edit a segmentation."""
        needs_vtk(node)
        if node is not None and self._parameters is None and self.mrmlScene() is not None:
            raise RuntimeError("a segmentation without a segment editor node")  # logged, and nothing can be edited
        if node is not self._node:
            self._use("")
        self._node = node
        self._table.show(node)
        self._history.SetSegmentation(node.GetSegmentation() if node is not None else None)

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
        """Remember the segmentation as it is."""
        self.undoStates += 1
        self._history.SaveState()

    def undo(self):
        """Go back to what was remembered."""
        self._history.RestorePreviousState()

    def redo(self):
        """Go forward again."""
        self._history.RestoreNextState()

    def paint(self, *where):
        """Do as an effect does that a person uses: remember, add voxels ``[k, j, i]``, and say so in the status."""
        self.saveStateForUndo()
        segment = self._node.GetSegmentation().GetSegment(self._segment)
        array = slicer.util.arrayFromSegmentBinaryLabelmap(self._node, self._segment, self._source).copy()
        array[where] = 1
        slicer.util.updateSegmentBinaryLabelmapFromArray(array, self._node, self._segment, self._source)
        if _LOGIC.GetSegmentStatus(segment) == _LOGIC.NotStarted:
            _LOGIC.SetSegmentStatus(segment, _LOGIC.InProgress)
