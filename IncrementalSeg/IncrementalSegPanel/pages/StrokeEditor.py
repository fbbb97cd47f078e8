"""The Segment Editor's own Paint, Draw and Erase, in a page."""

from __future__ import annotations

from typing import Any

import qt
import slicer

from IncrementalSegPanel import Fitting

_EFFECTS = ("Paint", "Draw", "Erase")
_UNDO_STATES = 10
_ROWS = 5
"""Segments that are seen at once."""
_ROW = 1.4
"""Height of a row of the table of segments, in lines."""


class StrokeEditor:
    """Edit strokes with a Segment Editor of its own; it is made when it is first shown.

    To make it takes Slicer some hundredths of a second, and to begin with a large scan some tenths: each is a turn of
    its own, after the page was drawn.

    Args:
        holder: The widget that it is put into.
    """

    def __init__(self, holder: Any) -> None:
        self._holder = holder
        self._editor: Any = None
        self._wanted: tuple[Any, Any, Any] = (None, None, None)
        self._soon = qt.QTimer(holder)
        self._soon.setSingleShot(True)
        self._soon.connect("timeout()", self._turn)
        self._open = self._made = False
        self._effect = ""

    def show(self, parameters: Any, strokes: Any, volume: Any) -> None:
        """Edit strokes on a scan.

        Args:
            parameters: The editor's parameter node; made anew with each scene.
            strokes: The strokes, or ``None``: nothing is edited.
            volume: Their scan.
        """
        wanted = parameters, strokes, volume
        if wanted == self._wanted:
            return
        self._wanted = wanted
        self._note()
        self._close()  # until the turn comes, nothing is painted on the scan before
        if strokes is not None:
            self._soon.start(0)

    def rest(self) -> None:
        """Edit nothing, so that clicks in the views belong to Slicer again; strokes stay."""
        self._wanted = None, None, None
        self._close()
        self._effect = ""

    def _turn(self) -> None:
        """Do one thing on the way to what is wanted, and let everything else be answered before the next."""
        parameters, strokes, volume = self._wanted
        if strokes is None:
            return
        if self._made:
            self._begin(parameters, strokes, volume)
            return
        if self._editor is None:
            self._editor = slicer.qMRMLSegmentEditorWidget(self._holder)
        else:
            self._setUp(parameters)
            self._made = True
        self._soon.start(0)

    def _begin(self, parameters: Any, strokes: Any, volume: Any) -> None:
        editor = self._editor
        if editor.mrmlSegmentEditorNode() is not parameters:
            editor.setMRMLSegmentEditorNode(parameters)
        editor.setSegmentationNode(strokes)
        editor.setSourceVolumeNode(volume)
        self._fit(strokes.GetSegmentation().GetNumberOfSegments())
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

    def _setUp(self, parameters: Any) -> None:
        editor = self._editor
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
        for name in _EFFECTS:
            Fitting.narrow(editor.effectByName(name).optionsFrame())
        self._holder.layout().addWidget(editor)

    def _fit(self, segments: int) -> None:
        """Give the table of segments the height that it needs, which is 200 pixels else; a person can drag it."""
        for frame in slicer.util.findChildren(self._editor, "SegmentsTableResizableFrame"):
            lines = (min(segments, _ROWS) + 1.5) * _ROW
            for grip in slicer.util.findChildren(frame, className="ctkSizeGrip"):
                grip.setWidgetSizeHint(qt.QSize(-1, int(lines * frame.fontMetrics().lineSpacing())))
