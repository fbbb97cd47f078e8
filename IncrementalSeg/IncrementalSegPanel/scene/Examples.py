"""Segments in the scene that a structure can be learned from, and what a person should know about each."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

import numpy as np
import slicer
import vtk

from IncrementalSegLib.errors import DataError, GeometryError
from IncrementalSegPanel.scene.Fingerprints import LABELMAP, fingerprint, made, touched, untouched
from IncrementalSegPanel.scene.Geometry import ijkToWorld, parentToWorld
from IncrementalSegPanel.scene.Segments import Measure, measure, ownLabelmap, sameGrid
from IncrementalSegPanel.scene.Terminology import entryOf, entryOfSegment, nameOf
from IncrementalSegPanel.scene.Visibility import STROKES_ROLE
from IncrementalSegPanel.Translation import _

SMALL_ML = 0.1
FEW_SLICES = 3
_SIMILAR = 0.8

_Counted = tuple[slicer.vtkOrientedImageData, Measure | None]


@dataclass(frozen=True)
class Example:
    """One segment of one scan.

    Attributes:
        segmentationId: Id of the segmentation node.
        segmentId: Id of the segment in it.
        name: Name of the segment.
        volumeId: Id of the scan; empty where none is known.
        volumeName: Name of the scan.
        ml: Volume of the segment in ml.
        slices: In how many slices of the segmentation it appears.
        hints: What a person should know, one sentence each.
        edited: Whether a person worked on it: in the Segment Editor, or on what a model made.
        uncorrected: Whether a model made it and nobody corrected it.
        similar: Whether its name or code is that of the structure asked for.
        obstacle: Why it cannot teach; empty where it can.
        structure: What it is taught as; empty: the structure asked for.
    """

    segmentationId: str
    segmentId: str
    name: str
    volumeId: str
    volumeName: str
    ml: float
    slices: int
    hints: tuple[str, ...] = ()
    edited: bool = False
    uncorrected: bool = False
    similar: bool = False
    obstacle: str = ""
    structure: str = ""


class Measures:
    """Counts of segments; counted again only when one has changed."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], tuple[tuple[object, ...], _Counted]] = {}
        self._prints: dict[tuple[str, str], tuple[tuple[object, ...], str]] = {}

    def of(self, node: slicer.vtkMRMLSegmentationNode, segmentId: str) -> _Counted:
        """Return the image that holds a segment, and what was counted of it there; ``None`` where it is empty.

        Raises:
            DataError: It was drawn as a surface that cannot be converted.
        """
        segmentation = node.GetSegmentation()
        segment = segmentation.GetSegment(segmentId)
        source = segment.GetRepresentation(segmentation.GetSourceRepresentationName())
        if source is None or source.GetNumberOfPoints() == 0:
            return slicer.vtkOrientedImageData(), None
        state = (source, source.GetMTime(), segment.GetLabelValue())
        known = self._known.get((node.GetID(), segmentId))
        if known is None or known[0] != state:
            image, value = segment.GetRepresentation(LABELMAP), segment.GetLabelValue()
            if image is None:  # drawn as a surface
                image, value = ownLabelmap(node, segmentId), 1
            known = self._known[node.GetID(), segmentId] = (state, (image, measure(image, value)))
        return known[1]

    def uncorrected(self, node: slicer.vtkMRMLSegmentationNode, segmentId: str) -> bool:
        """Tell whether voxels of a segment came from a model, and no person has drawn in it or called it completed."""
        image = node.GetSegmentation().GetSegment(segmentId).GetRepresentation(LABELMAP)
        return image is not None and self.untouched(node, segmentId)

    def untouched(self, node: slicer.vtkMRMLSegmentationNode, segmentId: str) -> bool:
        """Do what :func:`~IncrementalSegPanel.scene.Fingerprints.untouched` does, without counting twice."""
        segment = node.GetSegmentation().GetSegment(segmentId)
        image = segment.GetRepresentation(LABELMAP)
        if not made(segment) or image is None:
            return untouched(segment)
        state = (image, image.GetMTime(), segment.GetLabelValue())
        known = self._prints.get((node.GetID(), segmentId))
        if known is None or known[0] != state:
            known = self._prints[node.GetID(), segmentId] = (state, fingerprint(segment))
        return untouched(segment, known[1])

    def look(self, node: slicer.vtkMRMLSegmentationNode | None, segmentId: str) -> None:
        """Find out now what :meth:`untouched` will be asked; node and segment may have vanished."""
        if node is not None and node.GetSegmentation().GetSegment(segmentId) is not None:
            self.untouched(node, segmentId)

    def forgetRemoved(self) -> None:
        """Forget the segmentations that are not in the scene any more."""
        scene = slicer.mrmlScene
        self._known = {key: known for key, known in self._known.items() if scene.GetNodeByID(key[0]) is not None}
        self._prints = {key: known for key, known in self._prints.items() if scene.GetNodeByID(key[0]) is not None}


def findExamples(measures: Measures, structureName: str | None) -> list[Example]:
    """Return all segments of the scene, those first that are likely to be meant.

    Args:
        measures: What was counted before.
        structureName: The structure asked for, or ``None``.
    """
    measures.forgetRemoved()
    found = [
        _example(measures, node, segmentId, structureName)
        for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
        if not node.GetNodeReferenceID(STROKES_ROLE)  # strokes outline nothing
        for segmentId in node.GetSegmentation().GetSegmentIDs()
    ]
    return sorted(found, key=lambda example: (bool(example.obstacle), not example.similar, not example.edited))


def scanOf(node: slicer.vtkMRMLSegmentationNode) -> slicer.vtkMRMLScalarVolumeNode | None:
    """Return the scan that a segmentation was drawn on: the one it names, that of its grid, or the only one."""
    scans = [
        scan
        for scan in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
        if scan.GetImageData() is not None and not scan.IsA("vtkMRMLLabelMapVolumeNode")
    ]
    reference = node.GetNodeReference(node.GetReferenceImageGeometryReferenceRole())
    if reference in scans:
        return reference
    fitting = [scan for scan in scans if _drawnOn(node, scan)] if len(scans) > 1 else scans
    return fitting[0] if len(fitting) == 1 else None


def segmentationOf(example: Example) -> slicer.vtkMRMLSegmentationNode:
    """Return the segmentation of an example.

    Raises:
        DataError: It, or the segment in it, is not in the scene any more.
    """
    node = slicer.mrmlScene.GetNodeByID(example.segmentationId)
    if node is None or node.GetSegmentation().GetSegment(example.segmentId) is None:
        raise DataError(
            _("The segment {name} is not in the scene any more.").format(name=example.name),
            todo=_("Choose the examples again."),
        )
    return node


def _example(
    measures: Measures, node: slicer.vtkMRMLSegmentationNode, segmentId: str, structureName: str | None
) -> Example:
    segment, scan = node.GetSegmentation().GetSegment(segmentId), scanOf(node)
    ml, hints, obstacle = 0.0, [], ""
    try:
        image, counted = measures.of(node, segmentId)
        obstacle = "" if counted is not None else _("It is empty.")
    except DataError as error:
        counted, obstacle = None, str(error)
    if counted is not None:
        ml = counted.voxels * float(np.prod(image.GetSpacing())) / 1000
        hints = _sizeHints(ml, counted.slices)
        if scan is not None:
            placed, obstacle = _placeHints(node, image, scan, counted)
            hints += placed
    if scan is None:
        obstacle = obstacle or _(
            "It is not clear which scan it outlines: choose that as its source volume in the Segment Editor."
        )
    uncorrected = measures.uncorrected(node, segmentId)
    if uncorrected:
        hints.append(_("A model made it, and nobody corrected it or marked it as completed."))
    return Example(
        segmentationId=node.GetID(),
        segmentId=segmentId,
        name=segment.GetName(),
        volumeId=scan.GetID() if scan is not None else "",
        volumeName=scan.GetName() if scan is not None else "",
        ml=ml,
        slices=counted.slices if counted is not None else 0,
        hints=tuple(hints),
        edited=not uncorrected and (touched(segment) or made(segment)),
        uncorrected=uncorrected,
        similar=_similar(segment, structureName),
        obstacle=obstacle,
    )


def _drawnOn(node: slicer.vtkMRMLSegmentationNode, scan: slicer.vtkMRMLScalarVolumeNode) -> bool:
    """Tell whether a segmentation has the grid of a scan."""
    converter, grid = slicer.vtkSegmentationConverter, slicer.vtkOrientedImageData()
    text = node.GetSegmentation().GetConversionParameter(converter.GetReferenceImageGeometryParameterName())
    if not text or not converter.DeserializeImageGeometry(text, grid, False):
        return False
    matrix = vtk.vtkMatrix4x4()
    scan.GetIJKToRASMatrix(matrix)
    same = sameGrid(grid, slicer.util.arrayFromVTKMatrix(matrix))
    return same and grid.GetDimensions() == scan.GetImageData().GetDimensions()


def _sizeHints(ml: float, slices: int) -> list[str]:
    if ml < SMALL_ML:
        return [_("It is very small ({ml:.3f} ml).").format(ml=ml)]
    if slices < FEW_SLICES:
        return [_("It appears in {slices} slices only.").format(slices=slices)]
    return []


def _placeHints(
    node: slicer.vtkMRMLSegmentationNode,
    image: slicer.vtkOrientedImageData,
    scan: slicer.vtkMRMLScalarVolumeNode,
    counted: Measure,
) -> tuple[list[str], str]:
    """Return what its place in the scan says: hints, and why it cannot teach."""
    try:
        matrix = ijkToWorld(scan)
    except GeometryError as error:
        return [], str(error)
    local = np.linalg.inv(parentToWorld(scan)) @ matrix
    if node.GetTransformNodeID() != scan.GetTransformNodeID() or not sameGrid(image, local):
        return [_("It has a different grid and will be resampled to that of the scan.")], ""
    ends = [end for size in scan.GetImageData().GetDimensions() for end in (0, size - 1)]
    borders = zip(counted.atEdge, image.GetExtent(), ends, strict=True)
    touches = any(edge and at == end for edge, at, end in borders)
    return ([_("It reaches the border of the scan: only a part of it is seen.")] if touches else []), ""


def _similar(segment: slicer.vtkSegment, structureName: str | None) -> bool:
    """Tell whether a segment is called as a structure, or has its code."""
    if not structureName:
        return False
    entry = entryOf(structureName)
    if entry and nameOf(entry) == nameOf(entryOfSegment(segment)):
        return True
    pair = (segment.GetName().casefold(), structureName.casefold())
    return difflib.SequenceMatcher(None, *pair).ratio() >= _SIMILAR
