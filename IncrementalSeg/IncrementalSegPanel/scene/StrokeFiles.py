"""Strokes as a file that the worker reads: their voxels on the grid of the scan, slice by slice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import slicer
from numpy.typing import NDArray

from IncrementalSegLib.errors import DataError
from IncrementalSegPanel.scene.Exports import Pieces
from IncrementalSegPanel.scene.Files import Nrrd
from IncrementalSegPanel.scene.Fingerprints import LABELMAP, arrayOf
from IncrementalSegPanel.scene.Geometry import Matrix, ijkToWorld, imageToParent, parentToWorld
from IncrementalSegPanel.scene.ScanFiles import volume
from IncrementalSegPanel.scene.Segments import gridOf, labelmapOf, onGrid
from IncrementalSegPanel.Translation import _

_SLAB_BYTES = 1 << 20
"""Amount compressed at once."""

_LOOK_BYTES = 4 << 20
"""Amount searched for voxels at once: about 2 ms."""


def strokePieces(nodeId: str, volumeId: str, target: Path) -> Pieces:
    """Write the painted segments of a segmentation, each as a layer of its own, from the first to the last such slice.

    Args:
        nodeId: Id of the strokes, which may vanish at any time.
        volumeId: Id of their scan.
        target: File to be written; ends in ``.seg.nrrd``.

    Returns:
        The file.

    Raises:
        DataError: Nothing is painted, or strokes or scan are not in the scene any more.
        GeometryError: The scan lies on no rectangular grid.
    """
    columns, rows, _slices = volume(volumeId).GetImageData().GetDimensions()
    painted: dict[str, _Painted] = {}
    filled: list[int] = []
    for segmentId in _strokes(nodeId).GetSegmentation().GetSegmentIDs():
        found = _painted(_strokes(nodeId), segmentId, volume(volumeId))
        for some in () if found is None else found.filled():
            if some:
                painted[segmentId] = found
                filled += some
            yield 0.0
    if not painted:
        raise DataError(
            _("No stroke is painted yet."),
            _("Strokes say what is right where the outline is wrong."),
            _("Paint or draw with a structure, or with the background, and refine again."),
        )
    first, last = min(filled), max(filled)
    matrix = ijkToWorld(volume(volumeId)).copy()
    matrix[:3, 3] += first * matrix[:3, 2]
    thickness = max(1, _SLAB_BYTES // (columns * rows * len(painted)))
    size, fields = (columns, rows, last + 1 - first), _fields(_strokes(nodeId), painted)
    with Nrrd(target, size, np.dtype(np.uint8), matrix, len(painted), packed=True, fields=fields) as file:
        for begin in range(first, last + 1, thickness):
            end = min(begin + thickness, last + 1)
            file.writeVoxels(np.stack([found.slab(begin, end) for found in painted.values()], axis=-1))
            yield (end - first) / (last + 1 - first)
        file.complete()
    return target


class _Painted(Protocol):
    """The voxels of a segment on the grid of a scan."""

    def filled(self) -> Iterator[list[int]]:
        """Yield the slices with voxels, after each look at some slices."""

    def slab(self, begin: int, end: int) -> NDArray[np.uint8]:
        """Return the slices from ``begin`` to before ``end``, ``(k, j, i)``, 0 and 1."""


@dataclass(frozen=True)
class _InPlace:
    """A segment whose image has the grid of the scan, as the Segment Editor makes it: nothing is copied or resampled.

    Attributes:
        image: The image, in which other segments may have other values.
        value: Its value there.
        size: Voxels of the scan along k, j, i.
    """

    image: slicer.vtkOrientedImageData
    value: int
    size: tuple[int, int, int]

    def filled(self) -> Iterator[list[int]]:
        planes, first = arrayOf(self.image), self.image.GetExtent()[4]
        count = max(1, _LOOK_BYTES // max(1, planes[0].nbytes))
        for begin in range(0, len(planes), count):
            some = enumerate(planes[begin : begin + count], first + begin)
            yield [k for k, plane in some if 0 <= k < self.size[0] and (plane == self.value).any()]

    def slab(self, begin: int, end: int) -> NDArray[np.uint8]:
        x0, x1, y0, y1, z0, z1 = self.image.GetExtent()
        slab = np.zeros((end - begin, *self.size[1:]), np.uint8)
        lows = [max(begin, z0), max(0, y0), max(0, x0)]
        highs = [min(end, z1 + 1), min(self.size[1], y1 + 1), min(self.size[2], x1 + 1)]
        if all(low < high for low, high in zip(lows, highs, strict=True)):
            here, there = (
                tuple(slice(low - start, high - start) for low, high, start in zip(lows, highs, starts, strict=True))
                for starts in ((begin, 0, 0), (z0, y0, x0))
            )
            slab[here] = arrayOf(self.image)[there] == self.value
        return slab


@dataclass(frozen=True)
class _Elsewhere:
    """A segment on another grid, which is resampled.

    Attributes:
        image: The segment in the world.
        volumeId: Id of the scan, which may vanish at any time.
    """

    image: slicer.vtkOrientedImageData
    volumeId: str

    def filled(self) -> Iterator[list[int]]:
        for k in range(volume(self.volumeId).GetImageData().GetDimensions()[2]):
            yield [k] if self.slab(k, k + 1).any() else []

    def slab(self, begin: int, end: int) -> NDArray[np.uint8]:
        return onGrid(self.image, gridOf(volume(self.volumeId), begin, end - 1))


def _painted(
    node: slicer.vtkMRMLSegmentationNode, segmentId: str, scan: slicer.vtkMRMLScalarVolumeNode
) -> _Painted | None:
    """Return the voxels of a segment; ``None`` where nothing is painted."""
    segment = node.GetSegmentation().GetSegment(segmentId)
    image = segment.GetRepresentation(LABELMAP)
    if image is None:
        return _Elsewhere(labelmapOf(node, segmentId), scan.GetID())
    if image.GetNumberOfPoints() == 0 or image.GetPointData().GetScalars() is None:
        return None
    size = scan.GetImageData().GetDimensions()[::-1]
    if _same(parentToWorld(node) @ imageToParent(image), ijkToWorld(scan), size):
        return _InPlace(image, segment.GetLabelValue(), size)
    return _Elsewhere(labelmapOf(node, segmentId), scan.GetID())


def _same(one: Matrix, other: Matrix, size: tuple[int, int, int]) -> bool:
    """Return whether two matrices give the corners of a scan the same places, to a hundredth of a voxel."""
    k, j, i = size
    corners = np.array([[0, 0, 0, 1], [i, 0, 0, 1], [0, j, 0, 1], [0, 0, k, 1]]).T
    voxel = np.linalg.norm(other[:3, :3], axis=0).min()
    return bool(np.abs((one - other) @ corners).max() < 0.01 * voxel)


def _strokes(nodeId: str) -> slicer.vtkMRMLSegmentationNode:
    node = slicer.mrmlScene.GetNodeByID(nodeId)
    if node is None:
        raise DataError(_("The strokes are not in the scene any more."), todo=_("Open this page again."))
    return node


def _fields(node: slicer.vtkMRMLSegmentationNode, painted: Mapping[str, _Painted]) -> dict[str, str]:
    """Return what the header says of the segments."""
    found, segmentation = {}, node.GetSegmentation()
    for index, segmentId in enumerate(painted):
        name = " ".join(segmentation.GetSegment(segmentId).GetName().split())
        parts = {"ID": segmentId, "Name": name, "LabelValue": "1", "Layer": str(index)}
        found |= {f"Segment{index}_{key}": text.replace("\\", "\\\\") for key, text in parts.items()}
    return found
