"""Strokes of a person on a scan: a segmentation of their own, with a segment per structure and one for background."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterable
from pathlib import Path
from typing import Any

import slicer

from IncrementalSegLib.structures import BACKGROUND, Structure
from IncrementalSegPanel.Protocols import Defer
from IncrementalSegPanel.scene.Exports import Export
from IncrementalSegPanel.scene.Hierarchy import putBeside
from IncrementalSegPanel.scene.ScanFiles import volume
from IncrementalSegPanel.scene.StrokeFiles import strokePieces
from IncrementalSegPanel.scene.Terminology import describe
from IncrementalSegPanel.scene.Visibility import STROKES_ROLE, conceal
from IncrementalSegPanel.Translation import _

_BACKGROUND = Structure(BACKGROUND, BACKGROUND, 0, (90, 150, 255))
_EDITOR = "IncrementalSegStrokes"
_OPACITY = 0.8


class Strokes:
    """The strokes of the scene.

    Args:
        start: Does work piece by piece.
    """

    def __init__(self, start: Callable[[Generator[float, None, Any], Defer], Export]) -> None:
        self._start = start

    def prepare(
        self, volumeNode: slicer.vtkMRMLScalarVolumeNode, structures: Iterable[Structure]
    ) -> slicer.vtkMRMLSegmentationNode:
        """Show the strokes on a scan, and return their segmentation, made on first use.

        Strokes of other structures, as another model knows them, stay hidden: they teach this model nothing.

        Args:
            volumeNode: The scan.
            structures: What can be painted; a segment that is there stays as it is.

        Raises:
            DataError: The scan is not in the scene any more, or holds no image.
        """
        volume(volumeNode.GetID())
        offered = (*structures, _BACKGROUND)
        node = strokesOf(volumeNode, {structure.id for structure in offered}) or _create(volumeNode)
        segmentation = node.GetSegmentation()
        for structure in offered:
            if segmentation.GetSegment(structure.id) is None:
                segment = slicer.vtkSegment()
                describe(segment, structure)
                segmentation.AddSegment(segment, structure.id)
        node.SetDisplayVisibility(True)
        return node

    def hide(self, but: slicer.vtkMRMLSegmentationNode | None = None) -> None:
        """Hide all strokes, except for those of one node; they stay in the scene."""
        for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode"):
            if node.GetNodeReferenceID(STROKES_ROLE) and node is not but:
                conceal(node)

    def export(
        self, node: slicer.vtkMRMLSegmentationNode, volumeNode: slicer.vtkMRMLScalarVolumeNode, path: Path, defer: Defer
    ) -> Export:
        """Write strokes as a ``.seg.nrrd`` on the grid of their scan.

        Args:
            node: The strokes.
            volumeNode: The scan.
            path: The file.
            defer: Does the next piece soon.
        """
        return self._start(strokePieces(node.GetID(), volumeNode.GetID(), path), defer)

    def editorNode(self) -> slicer.vtkMRMLSegmentEditorNode:
        """Return the parameters of the editor of strokes, apart from those of Slicer's module Segment Editor."""
        scene, kind = slicer.mrmlScene, "vtkMRMLSegmentEditorNode"
        node = scene.GetSingletonNode(_EDITOR, kind)
        if node is None:
            node = scene.CreateNodeByClass(kind)
            node.UnRegister(None)  # owned by the variable now
            node.SetSingletonTag(_EDITOR)
            node.SetSaveWithScene(False)
            node = scene.AddNode(node)
        return node


def strokesOf(volumeNode: slicer.vtkMRMLVolumeNode, known: Collection[str]) -> slicer.vtkMRMLSegmentationNode | None:
    """Return the strokes on a scan that have no other segments than those with known ids, or ``None``."""
    for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode"):
        own = node.GetNodeReferenceID(STROKES_ROLE) == volumeNode.GetID()
        if own and set(node.GetSegmentation().GetSegmentIDs()) <= set(known):
            return node
    return None


def _create(volumeNode: slicer.vtkMRMLScalarVolumeNode) -> slicer.vtkMRMLSegmentationNode:
    name = slicer.mrmlScene.GenerateUniqueName(_("{scan} strokes").format(scan=volumeNode.GetName()))
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    putBeside(node, volumeNode)
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().SetOpacity2DFill(_OPACITY)
    node.SetAndObserveTransformNodeID(volumeNode.GetTransformNodeID())
    node.SetReferenceImageGeometryParameterFromVolumeNode(volumeNode)
    node.SetNodeReferenceID(STROKES_ROLE, volumeNode.GetID())
    return node
