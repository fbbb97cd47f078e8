"""The picture by which a person recognises an example: the slice of its scan in which it is largest."""

from __future__ import annotations

import numpy as np
import slicer
from numpy.typing import NDArray

from IncrementalSegPanel.scene.Examples import Example, Measures, segmentationOf
from IncrementalSegPanel.scene.Fingerprints import arrayOf
from IncrementalSegPanel.scene.Geometry import Matrix, ijkToWorld, imageToParent
from IncrementalSegPanel.scene.ScanFiles import volume
from IncrementalSegPanel.scene.Segments import gridOf, labelmapOf, onGrid, sameGrid
from IncrementalSegPanel.scene.Thumbnails import draw, turned

_EVERY = 4
"""Of how many rows, and of how many columns, one is looked at to find a slice."""


def pictureOf(measures: Measures, example: Example, size: int) -> NDArray[np.uint8]:
    """Draw an example.

    Args:
        measures: What was counted before.
        example: What to draw.
        size: Pixels of a side.

    Returns:
        ``(size, size, 3)``.

    Raises:
        DataError: The example or its scan is not in the scene any more.
        GeometryError: One of them lies on no rectangular grid.
    """
    node, scan = segmentationOf(example), volume(example.volumeId)
    matrix = ijkToWorld(scan)
    index, mask = _largest(measures, node, example.segmentId, scan)
    plane = slicer.util.arrayFromVolume(scan)[index]
    plane = plane if plane.ndim == 2 else plane.mean(axis=-1)
    shown = turned(plane, mask, matrix[:3, 0], matrix[:3, 1], windowOf(scan))
    return draw(shown, node.GetSegmentation().GetSegment(example.segmentId).GetColor(), size)


def _largest(
    measures: Measures,
    node: slicer.vtkMRMLSegmentationNode,
    segmentId: str,
    scan: slicer.vtkMRMLScalarVolumeNode,
) -> tuple[int, NDArray[np.uint8]]:
    """Return the slice of the scan in which a segment is largest, and the segment there."""
    segment, matrix = labelmapOf(node, segmentId), ijkToWorld(scan)
    last = scan.GetImageData().GetDimensions()[2] - 1
    _image, measure = measures.of(node, segmentId)
    if measure is None:
        index = last // 2
    elif sameGrid(segment, matrix):
        index = int(np.clip(measure.largest, 0, last))
    else:
        index = _crowded(segment, np.linalg.inv(matrix) @ imageToParent(segment), last)
    return index, onGrid(segment, gridOf(scan, index, index))[0]


def _crowded(segment: slicer.vtkOrientedImageData, toScan: Matrix, last: int) -> int:
    """Return the slice of a scan, of those up to ``last``, in which most voxels of a segment on another grid lie."""
    array, extent = arrayOf(segment), segment.GetExtent()
    every = _EVERY if array[:, ::_EVERY, ::_EVERY].any() else 1  # something may be thin enough to slip through
    k, j, i = np.nonzero(array[:, ::every, ::every])
    j, i = j * every, i * every
    slices = toScan[2] @ np.stack([i + extent[0], j + extent[2], k + extent[4], np.ones(len(k))])
    return int(np.bincount(np.clip(np.rint(slices), 0, last).astype(np.intp)).argmax())


def windowOf(scan: slicer.vtkMRMLScalarVolumeNode) -> tuple[float, float] | None:
    """Return the darkest and the brightest grey value that a scan is shown with; ``None`` where nothing says so."""
    display = scan.GetDisplayNode()
    if display is None or not display.IsA("vtkMRMLScalarVolumeDisplayNode"):
        return None
    return display.GetWindowLevelMin(), display.GetWindowLevelMax()
