"""The requests of the bridge to Slicer's windows; in a script without them they do nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import slicer


class Application:
    """The windows of Slicer."""

    def pausedRendering(self) -> AbstractContextManager[None]:
        """Return a context in which no view is drawn."""
        return nullcontext() if slicer.util.mainWindow() is None else slicer.util.RenderBlocker()

    def fitViews(self, names: Collection[str]) -> None:
        """Fit slice views to what they show.

        Args:
            names: Of the views.
        """
        layout = None if slicer.util.mainWindow() is None else slicer.app.layoutManager()
        for name in names if layout is not None else ():
            if (view := layout.sliceWidget(name)) is not None:
                view.sliceLogic().FitSliceToBackground()

    def saveUndoState(self, segmentationNode: slicer.vtkMRMLSegmentationNode) -> None:
        """Let every Segment Editor be able to undo what comes that has the segmentation open."""
        windows = () if slicer.util.mainWindow() is None else slicer.app.topLevelWidgets()
        for editor in _editors(windows):  # a module that is not shown is a window of its own, hidden
            if editor.segmentationNodeID() == segmentationNode.GetID():
                editor.saveStateForUndo()

    def openSegmentEditor(
        self,
        segmentationNode: slicer.vtkMRMLSegmentationNode,
        segmentId: str,
        volumeNode: slicer.vtkMRMLScalarVolumeNode | None,
    ) -> None:
        """Open the Segment Editor on a segment and its scan."""
        if slicer.util.mainWindow() is None:
            return
        slicer.util.selectModule("SegmentEditor")
        editor = _editors([slicer.modules.segmenteditor.widgetRepresentation()])[0]
        editor.setSegmentationNode(segmentationNode)
        if volumeNode is not None:
            editor.setSourceVolumeNode(volumeNode)
        editor.setCurrentSegmentID(segmentId)


def _editors(widgets: Iterable[Any]) -> list[Any]:
    """Return the Segment Editors in widgets; other modules than Slicer's own may have one, too."""
    return [editor for widget in widgets for editor in widget.findChildren(slicer.qMRMLSegmentEditorWidget)]
