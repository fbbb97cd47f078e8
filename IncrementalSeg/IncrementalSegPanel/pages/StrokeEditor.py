"""The Segment Editor's own Paint, Draw and Erase, in a page."""

from __future__ import annotations

from typing import Any

import slicer

_EFFECTS = ("Paint", "Draw", "Erase")
_UNDO_STATES = 10


class StrokeEditor:
    """Edit strokes with a Segment Editor of its own; it is made when it is first shown.

    Args:
        holder: The widget that it is put into.
    """

    def __init__(self, holder: Any) -> None:
        self._holder = holder
        self._editor: Any = None
        self._open = False

    def show(self, parameters: Any, strokes: Any, volume: Any) -> None:
        """Edit strokes on a scan.

        Args:
            parameters: The editor's parameter node; made anew with each scene.
            strokes: The strokes, or ``None``: nothing is edited.
            volume: Their scan.
        """
        if strokes is None:
            self.rest()
            return
        editor = self._editor = self._editor or self._make(parameters)
        if editor.mrmlSegmentEditorNode() is not parameters:
            editor.setMRMLSegmentEditorNode(parameters)
        if editor.segmentationNode() is not strokes:
            editor.setSegmentationNode(strokes)
            editor.setSourceVolumeNode(volume)
        if not self._open:
            self._open = True
            editor.setupViewObservations()

    def rest(self) -> None:
        """Edit nothing, so that clicks in the views belong to Slicer again; strokes stay."""
        if self._open:
            self._open = False
            self._editor.setActiveEffect(None)
            self._editor.removeViewObservations()
            self._editor.setSegmentationNode(None)

    def _make(self, parameters: Any) -> Any:
        editor = slicer.qMRMLSegmentEditorWidget(self._holder)
        editor.setMaximumNumberOfUndoStates(_UNDO_STATES)
        editor.setEffectNameOrder(list(_EFFECTS))
        editor.unorderedEffectsVisible = False
        editor.setSegmentationNodeSelectorVisible(False)
        editor.setSourceVolumeNodeSelectorVisible(False)
        editor.setSwitchToSegmentationsButtonVisible(False)
        editor.setAddRemoveSegmentButtonsVisible(False)
        editor.setShow3DButtonVisible(False)
        editor.setSpecifyGeometryButtonVisible(False)
        editor.setMRMLSegmentEditorNode(parameters)  # before the scene: what it selects by itself is kept there
        editor.setMRMLScene(slicer.mrmlScene)
        self._holder.layout().addWidget(editor)
        return editor
