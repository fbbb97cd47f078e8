"""The Segment Editor's own Paint, Draw and Erase, in a page."""

from __future__ import annotations

from typing import Any

import qt
import slicer

_EFFECTS = ("Paint", "Draw", "Erase")
_UNDO_STATES = 10
_ROWS = 5
"""Segments that are seen at once."""
_ROW = 1.4
"""Height of a row of the table of segments, in lines."""


class StrokeEditor:
    """Edit strokes with a Segment Editor of its own; it is made when it is first shown.

    Args:
        holder: The widget that it is put into.
    """

    def __init__(self, holder: Any) -> None:
        self._holder = holder
        self._editor: Any = None
        self._wanted: tuple[Any, Any, Any] = (None, None, None)
        self._soon = qt.QTimer(holder)
        self._soon.setSingleShot(True)
        self._soon.connect("timeout()", self._begin)
        self._open = False
        self._effect = ""

    def show(self, parameters: Any, strokes: Any, volume: Any) -> None:
        """Edit strokes on a scan.

        Args:
            parameters: The editor's parameter node; made anew with each scene.
            strokes: The strokes, or ``None``: nothing is edited.
            volume: Their scan.
        """
        self._wanted = parameters, strokes, volume
        if strokes is None:
            self._note()
            self._close()
        elif self._editor is None:
            self._soon.start(0)
        else:
            self._edit(parameters, strokes, volume)

    def rest(self) -> None:
        """Edit nothing, so that clicks in the views belong to Slicer again; strokes stay."""
        self._wanted = None, None, None
        self._close()
        self._effect = ""

    def _begin(self) -> None:
        """Make the editor, which takes long enough to let the page be seen before, and use it."""
        parameters, strokes, volume = self._wanted
        if strokes is not None and self._editor is None:
            self._editor = self._make(parameters)
            self._edit(parameters, strokes, volume)

    def _edit(self, parameters: Any, strokes: Any, volume: Any) -> None:
        editor = self._editor
        if editor.mrmlSegmentEditorNode() is not parameters:
            editor.setMRMLSegmentEditorNode(parameters)
        if editor.segmentationNode() is not strokes:
            self._note()
            editor.setSegmentationNode(strokes)  # which ends the effect
            editor.setSourceVolumeNode(volume)
            self._fit(strokes.GetSegmentation().GetNumberOfSegments())
        if not self._open:
            self._open = True
            editor.setupViewObservations()
        if self._effect:
            editor.setActiveEffectByName(self._effect)
            self._effect = ""

    def _note(self) -> None:
        """Note the effect that is used, so that the next scan is painted like the one before."""
        effect = self._editor.activeEffect() if self._open else None
        if effect is not None:
            self._effect = effect.name

    def _close(self) -> None:
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
        for options in slicer.util.findChildren(editor, "MaskingGroupBox"):
            options.collapsed = True
        self._holder.layout().addWidget(editor)
        return editor

    def _fit(self, segments: int) -> None:
        """Give the table of segments the height that it needs, which is 200 pixels else; a person can drag it."""
        for frame in slicer.util.findChildren(self._editor, "SegmentsTableResizableFrame"):
            lines = (min(segments, _ROWS) + 1.5) * _ROW
            for grip in slicer.util.findChildren(frame, className="ctkSizeGrip"):
                grip.setWidgetSizeHint(qt.QSize(-1, int(lines * frame.fontMetrics().lineSpacing())))
