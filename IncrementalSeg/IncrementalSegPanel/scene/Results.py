"""Put what a model outlined into the scene, leave alone what a person drew, and take it out again."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass, field

import numpy as np
import slicer

from IncrementalSegLib.structures import Structure
from IncrementalSegPanel.scene.Application import Application
from IncrementalSegPanel.scene.Examples import Measures
from IncrementalSegPanel.scene.Fingerprints import LABELMAP, unmark
from IncrementalSegPanel.scene.Geometry import Matrix, imageToParent, parentToWorld
from IncrementalSegPanel.scene.Hierarchy import putBeside
from IncrementalSegPanel.scene.Looks import Look, looksOf, restoreLooks
from IncrementalSegPanel.scene.ResultFiles import Outlines
from IncrementalSegPanel.scene.Terminology import describe, entryOfSegment
from IncrementalSegPanel.scene.Visibility import SCAN_ROLE
from IncrementalSegPanel.Translation import _


@dataclass
class Before:
    """State of the scene before the last import.

    Attributes:
        nodeId: The segmentation.
        created: Whether the import made it.
        added: Ids of segments that were not there.
        replaced: Segment id -> copy of what it held; the voxels are shared, not copied.
        moved: Segment id -> id under which a person's version was kept.
    """

    nodeId: str
    created: bool
    added: list[str] = field(default_factory=list)
    replaced: dict[str, slicer.vtkSegment] = field(default_factory=dict)
    moved: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Undone:
    """Outcome of undoing a result.

    Attributes:
        taken: Whether anything of the result was still there as it came, and is gone now.
        kept: Names of segments that stay, because a person has changed them since.
    """

    taken: bool
    kept: tuple[str, ...] = ()


def resultOf(volumeNode: slicer.vtkMRMLVolumeNode) -> slicer.vtkMRMLSegmentationNode | None:
    """Return the segmentation in which results of a scan are shown, or ``None``."""
    for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode"):
        if node.GetNodeReferenceID(SCAN_ROLE) == volumeNode.GetID():
            return node
    return None


def createResult(volumeNode: slicer.vtkMRMLScalarVolumeNode) -> slicer.vtkMRMLSegmentationNode:
    """Add an empty segmentation for a scan, beside it in the subject hierarchy and moving with it."""
    name = slicer.mrmlScene.GenerateUniqueName(_("{scan} structures").format(scan=volumeNode.GetName()))
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    putBeside(node, volumeNode)
    node.CreateDefaultDisplayNodes()
    node.SetAndObserveTransformNodeID(volumeNode.GetTransformNodeID())
    node.SetNodeReferenceID(SCAN_ROLE, volumeNode.GetID())
    return node


def putResult(
    result: Outlines,
    node: slicer.vtkMRMLSegmentationNode,
    structures: Iterable[Structure],
    before: Before,
    measures: Measures,
) -> None:
    """Put the segments of a result into a segmentation.

    A segment of the same structure is replaced, unless a person has changed it: then it is kept as "... (corrected)".

    Args:
        result: What the worker outlined; its voxels are taken over.
        node: The segmentation to change.
        structures: What the segments are.
        before: Is told how the segmentation was.
        measures: Knows which segments a person has changed.
    """
    segmentation = node.GetSegmentation()
    known = {structure.id: structure for structure in structures}
    ids = [found for found in result if found in known]
    _move(result.values(), np.linalg.inv(parentToWorld(node)))
    present = [found for found in ids if segmentation.GetSegment(found) is not None]
    _keepCorrected(segmentation, [found for found in present if not measures.untouched(node, found)], before)
    for found in present:
        if found not in before.moved:
            _separate(segmentation, found, present)
        before.replaced[found] = _copy(segmentation.GetSegment(found))
    for found in ids:
        fresh, segment = result[found], segmentation.GetSegment(found)
        describe(fresh, known[found])
        if segment is None:
            segmentation.AddSegment(fresh, found)
            before.added.append(found)
        else:
            _fill(segment, fresh, look=fresh if found in before.moved else segment)
    _renewSurfaces(node, present)


def undoPieces(before: Before | None, measures: Measures, application: Application) -> Generator[float, None, Undone]:
    """Make a segmentation as it was before an import; what a person has changed since stays.

    Args:
        before: How it was; ``None``: nothing was imported.
        measures: Knows which segments a person has changed, and looks at one in each piece.
        application: The windows of Slicer.
    """
    yield 0.0
    if before is None:
        return Undone(taken=False)
    for segmentId in (*before.added, *before.replaced):
        measures.look(slicer.mrmlScene.GetNodeByID(before.nodeId), segmentId)
        yield 0.5
    with application.pausedRendering():
        return _takeBack(before, measures)


def _takeBack(before: Before, measures: Measures) -> Undone:
    """Do what :func:`undoPieces` says, at once."""
    node = slicer.mrmlScene.GetNodeByID(before.nodeId)
    if node is None:
        return Undone(taken=False)
    segmentation = node.GetSegmentation()
    theirs = {found: segmentation.GetSegment(found) for found in (*before.added, *before.replaced)}
    ours = [found for found, segment in theirs.items() if segment is not None and measures.untouched(node, found)]
    changed = [segment.GetName() for found, segment in theirs.items() if segment is not None and found not in ours]
    for found in set(ours) & set(before.added):
        segmentation.RemoveSegment(found)
    restored = [found for found in ours if found in before.replaced]
    looks = looksOf(segmentation)
    for found in restored:
        held = before.replaced[found]
        kept = segmentation.GetSegment(before.moved.get(found, ""))
        if kept is not None:  # a person may have gone on with it
            segmentation.RemoveSegment(before.moved[found])
            kept.SetName(held.GetName())
            held = kept
        _fill(theirs[found], held, look=held)
        looks[found] = Look.of(held)
    restoreLooks(segmentation, looks)
    _renewSurfaces(node, restored)
    if before.created and segmentation.GetNumberOfSegments() == 0:
        slicer.mrmlScene.RemoveNode(node.GetDisplayNode())
        slicer.mrmlScene.RemoveNode(node)
    return Undone(taken=bool(ours), kept=tuple(changed))


def _keepCorrected(segmentation: slicer.vtkSegmentation, ids: list[str], before: Before) -> None:
    """Add what a person has changed again under an id of its own, so that its old id is free for the new result."""
    names = {segmentation.GetNthSegment(index).GetName() for index in range(segmentation.GetNumberOfSegments())}
    for found in ids:
        segment = segmentation.GetSegment(found)
        said = _("{name} (corrected)").format(name=segment.GetName())
        name, number = said, 2
        while name in names:
            name, number = f"{said} {number}", number + 1
        names.add(name)
        kept = _copy(segment)
        kept.SetName(name)
        unmark(kept)
        before.moved[found] = segmentation.GenerateUniqueSegmentID(f"{found}-corrected")
        segmentation.AddSegment(kept, before.moved[found], found)


def _separate(segmentation: slicer.vtkSegmentation, segmentId: str, replaced: list[str]) -> None:
    """Take a segment out of a layer in which others stay."""
    sharing: list[str] = []
    segmentation.GetSegmentIDsSharingBinaryLabelmapRepresentation(segmentId, sharing, False)
    if set(sharing) - set(replaced):
        segmentation.SeparateSegmentLabelmap(segmentId)


def _copy(segment: slicer.vtkSegment) -> slicer.vtkSegment:
    """Return a segment with the same properties and the very same voxels, without surfaces: they change in place."""
    copy = slicer.vtkSegment()
    copy.DeepCopyMetadata(segment)
    copy.AddRepresentation(LABELMAP, segment.GetRepresentation(LABELMAP))
    return copy


def _fill(segment: slicer.vtkSegment, other: slicer.vtkSegment, look: slicer.vtkSegment) -> None:
    """Give a segment the voxels and marks of another, and the name, colour and code of ``look``."""
    name, color, entry = look.GetName(), look.GetColor(), entryOfSegment(look)
    segment.DeepCopyMetadata(other)
    segment.SetName(name)
    segment.SetColor(color)
    if entry:
        segment.SetTag(segment.GetTerminologyEntryTagName(), entry)
    segment.AddRepresentation(LABELMAP, other.GetRepresentation(LABELMAP))


def _move(segments: Iterable[slicer.vtkSegment], worldToNode: Matrix) -> None:
    """Bring voxels that lie in the world below the transform of the node that will hold them."""
    for image in {segment.GetRepresentation(LABELMAP) for segment in segments}:
        image.SetImageToWorldMatrix(slicer.util.vtkMatrixFromArray(worldToNode @ imageToParent(image)))


def _renewSurfaces(node: slicer.vtkMRMLSegmentationNode, ids: list[str]) -> None:
    """Make the surfaces of changed segments again, where surfaces are shown."""
    shown: list[str] = []
    node.GetSegmentation().GetContainedRepresentationNames(shown)
    if ids and len(shown) > 1:
        slicer.vtkSlicerSegmentationsModuleLogic.ReconvertAllRepresentations(node, ids)
