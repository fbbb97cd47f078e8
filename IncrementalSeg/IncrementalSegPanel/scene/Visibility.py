"""The visibility of results: those of the shown scans, and always one that has just arrived."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import slicer

SCAN_ROLE = "IncrementalSeg.scan"
"""Role under which a result refers to its scan; survives saving and loading."""

STROKES_ROLE = "IncrementalSeg.strokes"
"""Role under which strokes refer to their scan."""

_HIDDEN = "IncrementalSeg.hidden"
"""Attribute of a result that was hidden with its scan; what a person has hidden stays hidden when its scan is back."""


def follow(shown: Collection[str]) -> None:
    """Hide the results and strokes of scans that are not shown, and show again those that were hidden so.

    Args:
        shown: Ids of the volumes in the slice views; with none there is nothing to follow.
    """
    if not shown:
        return
    for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode"):
        scan = node.GetNodeReferenceID(SCAN_ROLE) or node.GetNodeReferenceID(STROKES_ROLE)
        if not scan or slicer.mrmlScene.GetNodeByID(scan) is None:
            continue
        if scan in shown:
            if node.GetAttribute(_HIDDEN):
                node.RemoveAttribute(_HIDDEN)
                node.SetDisplayVisibility(True)
        elif node.GetDisplayVisibility():
            node.SetAttribute(_HIDDEN, "1")
            node.SetDisplayVisibility(False)


def conceal(node: slicer.vtkMRMLSegmentationNode) -> None:
    """Hide a segmentation until it is asked for, also where it was hidden with its scan."""
    node.RemoveAttribute(_HIDDEN)
    node.SetDisplayVisibility(False)


def reveal(node: slicer.vtkMRMLSegmentationNode, segmentIds: Iterable[str]) -> None:
    """Make segments visible in the slice views, however they or their segmentation were hidden."""
    node.RemoveAttribute(_HIDDEN)
    if node.GetDisplayNode() is None:
        node.CreateDefaultDisplayNodes()
    segmentIds = list(segmentIds)
    for number in range(node.GetNumberOfDisplayNodes()):
        display = node.GetNthDisplayNode(number)
        display.SetVisibility(True)
        display.SetVisibility2D(True)
        if not slicer.vtkMRMLFolderDisplayNode.GetHierarchyVisibility(node):
            display.SetFolderDisplayOverrideAllowed(False)  # its folder is hidden, with what else is in there
        if not (display.GetVisibility2DFill() or display.GetVisibility2DOutline()):
            display.SetVisibility2DFill(True)
            display.SetVisibility2DOutline(True)
        _opaque(display)
        for found in segmentIds:
            _revealSegment(display, found)


def _opaque(display: slicer.vtkMRMLSegmentationDisplayNode) -> None:
    """Give a display back the opacity without which nothing of it is seen."""
    if display.GetOpacity() == 0:
        display.SetOpacity(1.0)
    if display.GetOpacity2DFill() == 0 and display.GetOpacity2DOutline() == 0:
        display.SetOpacity2DFill(0.5)
        display.SetOpacity2DOutline(1.0)


def _revealSegment(display: slicer.vtkMRMLSegmentationDisplayNode, segmentId: str) -> None:
    display.SetSegmentVisibility(segmentId, True)
    if not (display.GetSegmentVisibility2DFill(segmentId) or display.GetSegmentVisibility2DOutline(segmentId)):
        display.SetSegmentVisibility2DFill(segmentId, True)
        display.SetSegmentVisibility2DOutline(segmentId, True)
    if display.GetSegmentOpacity2DFill(segmentId) == 0 and display.GetSegmentOpacity2DOutline(segmentId) == 0:
        display.SetSegmentOpacity2DFill(segmentId, 1.0)
        display.SetSegmentOpacity2DOutline(segmentId, 1.0)
