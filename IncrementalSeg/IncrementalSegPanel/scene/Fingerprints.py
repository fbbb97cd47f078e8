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
    planes, rows, columns = (np.zeros(size, bool) for size in array.shape)
    for k, plane in enumerate(array):  # a whole mask at once would take memory, and with it time
        inside = plane == value
        if inside.any():
            planes[k] = True
            rows |= inside.any(axis=1)
            columns |= inside.any(axis=0)
    if not planes.any():
        return _EMPTY
    (k0, k1), (j0, j1), (i0, i1) = (np.flatnonzero(held)[[0, -1]] + (0, 1) for held in (planes, rows, columns))
    checksum = 0
    for k in range(k0, k1, 8):  # whatever its size, eight planes fill whole bytes
        checksum = zlib.crc32(np.packbits(array[k : min(k + 8, k1), j0:j1, i0:i1] == value), checksum)
    x0, _, y0, _, z0, _ = image.GetExtent()
    place, shape = (x0 + i0, y0 + j0, z0 + k0), (k1 - k0, j1 - j0, i1 - i0)
    return "-".join(str(number) for number in (*place, *shape, checksum))


def arrayOf(image: vtk.vtkImageData) -> Any:
    """Return the voxels of an image as a view (k, j, i)."""
    x0, x1, y0, y1, z0, z1 = image.GetExtent()
    return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(z1 - z0 + 1, y1 - y0 + 1, x1 - x0 + 1)
