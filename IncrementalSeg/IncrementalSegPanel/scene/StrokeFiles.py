"""Strokes as a file that the worker reads: their voxels on the grid of the scan, slice by slice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import slicer

from IncrementalSegLib.errors import DataError
from IncrementalSegPanel.scene.Exports import Pieces
from IncrementalSegPanel.scene.Files import Nrrd
from IncrementalSegPanel.scene.Geometry import ijkToWorld
from IncrementalSegPanel.scene.ScanFiles import volume
from IncrementalSegPanel.scene.Segments import Measure, gridOf, labelmapOf, measure, onGrid, sameGrid
from IncrementalSegPanel.Translation import _

_SLAB_BYTES = 1 << 20
"""Amount resampled at once."""


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
    scan = volume(volumeId)
    matrix, (columns, rows, slices) = ijkToWorld(scan), scan.GetImageData().GetDimensions()
    painted: dict[str, slicer.vtkOrientedImageData] = {}
    first, last = slices - 1, 0
    for segmentId in _segmentation(nodeId).GetSegmentIDs():
        image = labelmapOf(slicer.mrmlScene.GetNodeByID(nodeId), segmentId)
        if (counted := measure(image, 1)) is not None:
            painted[segmentId] = image
            low, high = _slices(counted) if sameGrid(image, matrix) else (0, slices - 1)
            first, last = min(first, max(0, low)), max(last, min(slices - 1, high))
        yield 0.0
    if not painted or first > last:
        raise DataError(
            _("No stroke is painted yet."),
            _("Strokes say what is right where the outline is wrong."),
            _("Paint or draw with a structure, or with the background, and refine again."),
        )
    matrix = matrix.copy()
    matrix[:3, 3] += first * matrix[:3, 2]
    thickness = max(1, _SLAB_BYTES // (columns * rows * len(painted)))
    size, fields = (columns, rows, last + 1 - first), _fields(nodeId, painted)
    with Nrrd(target, size, np.dtype(np.uint8), matrix, len(painted), packed=True, fields=fields) as file:
        for begin in range(first, last + 1, thickness):
            grid = gridOf(volume(volumeId), begin, min(begin + thickness - 1, last))
            file.writeVoxels(np.stack([onGrid(image, grid) for image in painted.values()], axis=-1))
            yield (begin + thickness - first) / (last + 1 - first)
        file.complete()
    return target


def _segmentation(nodeId: str) -> slicer.vtkSegmentation:
    node = slicer.mrmlScene.GetNodeByID(nodeId)
    if node is None:
        raise DataError(_("The strokes are not in the scene any more."), todo=_("Open this page again."))
    return node.GetSegmentation()


def _slices(counted: Measure) -> tuple[int, int]:
    """Return the first and the last slice with voxels."""
    filled = np.flatnonzero(counted.perSlice)
    return counted.first + int(filled[0]), counted.first + int(filled[-1])


def _fields(nodeId: str, painted: dict[str, slicer.vtkOrientedImageData]) -> dict[str, str]:
    """Return what the header says of the segments."""
    found, segmentation = {}, _segmentation(nodeId)
    for index, segmentId in enumerate(painted):
        name = " ".join(segmentation.GetSegment(segmentId).GetName().split())
        parts = {"ID": segmentId, "Name": name, "LabelValue": "1", "Layer": str(index)}
        found |= {f"Segment{index}_{key}": text.replace("\\", "\\\\") for key, text in parts.items()}
    return found
