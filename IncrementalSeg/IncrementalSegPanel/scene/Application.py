"""What the bridge asks of Slicer's windows; in a script without them it does nothing."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import slicer


class Application:
    """The windows of Slicer."""

    def pausedRendering(self) -> AbstractContextManager[None]:
        """Return a context in which no view is drawn."""
        return nullcontext() if slicer.util.mainWindow() is None else slicer.util.RenderBlocker()

    def saveUndoState(self, segmentationNode: slicer.vtkMRMLSegmentationNode) -> None:
        """Let the Segment Editor be able to undo what comes, where it has that segmentation open."""
        widget = getattr(slicer.modules, "SegmentEditorWidget", None)  # made when the module was first opened
        editor = None if widget is None else widget.editor
        if editor is not None and editor.segmentationNodeID() == segmentationNode.GetID():
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
        editor = slicer.modules.SegmentEditorWidget.editor
        editor.setSegmentationNode(segmentationNode)
        if volumeNode is not None:
            editor.setSourceVolumeNode(volumeNode)
        editor.setCurrentSegmentID(segmentId)
