"""Whose a segment is: a mark that a result bears, which no longer fits once a person has changed its voxels."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

LABELMAP = "Binary labelmap"

_TAG = "IncrementalSeg.Fingerprint"
_EMPTY = "empty"


def mark(segment: slicer.vtkSegment) -> None:
    """Note in a tag, which is saved with the scene, what a segment looks like now."""
    segment.SetTag(_TAG, fingerprint(segment))


def unmark(segment: slicer.vtkSegment) -> None:
    """Make a segment a person's own."""
    segment.RemoveTag(_TAG)


def made(segment: slicer.vtkSegment) -> bool:
    """Tell whether a segment came from a model, changed since or not."""
    return segment.HasTag(_TAG)


def untouched(segment: slicer.vtkSegment, found: str = "") -> bool:
    """Tell whether a segment came from a model and no person has drawn in it or called it completed since.

    The status *in progress* proves nothing: Slicer's tables of segments may bring that of an earlier segment back.

    Args:
        segment: The segment.
        found: Its fingerprint, where that is known.
    """
    logic, tag = slicer.vtkSlicerSegmentationsModuleLogic, vtk.reference("")
    if not segment.GetTag(_TAG, tag) or logic.GetSegmentStatus(segment) == logic.Completed:
        return False
    return str(tag) == (found or fingerprint(segment))


def touched(segment: slicer.vtkSegment) -> bool:
    """Tell whether the Segment Editor, or a person in it, says that somebody works on a segment."""
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    return logic.GetSegmentStatus(segment) != logic.NotStarted


def fingerprint(segment: slicer.vtkSegment) -> str:
    """Return the place and a checksum of a segment's voxels; saving and loading do not change it."""
    image = segment.GetRepresentation(LABELMAP)
    if image is None or image.GetNumberOfPoints() == 0 or image.GetPointData().GetScalars() is None:
        return _EMPTY
    array, value = arrayOf(image), segment.GetLabelValue()
    planes = [k for k, plane in enumerate(array) if (plane == value).any()]
    if not planes:
        return _EMPTY
    mask = array[planes[0] : planes[-1] + 1] == value
    rows, columns = (np.flatnonzero(mask.any(axis=axes)) for axes in ((0, 2), (0, 1)))
    mask = mask[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    x0, _, y0, _, z0, _ = image.GetExtent()
    place = (x0 + columns[0], y0 + rows[0], z0 + planes[0])
    return "-".join(str(number) for number in (*place, *mask.shape, zlib.crc32(np.packbits(mask))))


def arrayOf(image: vtk.vtkImageData) -> Any:
    """Return the voxels of an image as a view (k, j, i)."""
    x0, x1, y0, y1, z0, z1 = image.GetExtent()
    return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(z1 - z0 + 1, y1 - y0 + 1, x1 - x0 + 1)
