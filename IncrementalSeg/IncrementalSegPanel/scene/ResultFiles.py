"""Files of the worker, read piece by piece outside of the scene: outlines and maps."""

from __future__ import annotations

import zlib
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import slicer
import vtk
from numpy.typing import NDArray

from IncrementalSegLib.errors import DataError
from IncrementalSegPanel.scene.Fingerprints import LABELMAP, arrayOf, mark
from IncrementalSegPanel.scene.NrrdSlabs import NrrdSlabs
from IncrementalSegPanel.Translation import _

Outlines = dict[str, slicer.vtkSegment]
"""Segment id -> segment, in the order of the file; segments of one layer share its voxels."""

Map = tuple[vtk.vtkImageData, NDArray[Any]]
"""An image, and the matrix from its voxel indices to millimetres, RAS."""

_FAULTS = (OSError, EOFError, KeyError, ValueError, UnicodeDecodeError, zlib.error)


def outlinePieces(path: Path) -> Generator[float, None, Outlines]:
    """Read a ``.seg.nrrd``, with a mark in each segment that it came from a model.

    Raises:
        DataError: The file is missing or damaged.
    """
    try:
        with NrrdSlabs(path) as file:
            places = _places(file.fields)
            if not places:
                raise ValueError
            layers = []
            for layer in range(file.components):
                layers.append(_layer(file, [place.extent for place in places.values() if place.layer == layer]))
                yield 0.0
            for first, slab in file.slabs():
                for index, image in enumerate(layers):
                    _copyInto(image, first, slab[..., index])
                yield 0.8 * (first + len(slab)) / file.size[2]
        found: Outlines = {}
        for segmentId, place in places.items():
            segment = found[segmentId] = slicer.vtkSegment()
            segment.SetLabelValue(place.value)
            segment.AddRepresentation(LABELMAP, layers[place.layer])
            mark(segment)
            yield 0.8 + 0.2 * len(found) / len(places)
    except _FAULTS as error:
        raise _unreadable(path) from error
    return found


def mapPieces(path: Path) -> Generator[float, None, Map]:
    """Read a map of numbers.

    Raises:
        DataError: The file is missing or damaged.
    """
    try:
        with NrrdSlabs(path) as file:
            image = vtk.vtkImageData()
            image.SetDimensions(file.size)
            image.AllocateScalars(vtk.VTK_FLOAT, 1)
            for first, slab in file.slabs():
                arrayOf(image)[first : first + len(slab)] = slab[..., 0]
                yield (first + len(slab)) / file.size[2]
            return image, file.matrix
    except _FAULTS as error:
        raise _unreadable(path) from error


@dataclass(frozen=True)
class _Place:
    """Where the voxels of a segment are: in which layer, with which value, and between which i, j, k."""

    layer: int
    value: int
    extent: tuple[int, ...]


def _places(fields: dict[str, str]) -> dict[str, _Place]:
    """Return the place of each segment by its id."""
    found: dict[str, _Place] = {}
    while f"Segment{len(found)}_ID" in fields:
        key = f"Segment{len(found)}_"
        extent = tuple(int(end) for end in fields[key + "Extent"].split())
        found[fields[key + "ID"]] = _Place(int(fields[key + "Layer"]), int(fields[key + "LabelValue"]), extent)
    return found


def _layer(file: NrrdSlabs, extents: list[tuple[int, ...]]) -> slicer.vtkOrientedImageData:
    """Return an image as large as the segments of a layer, whose voxels are still to be copied."""
    image = slicer.vtkOrientedImageData()
    filled = [extent for extent in extents if all(extent[axis] <= extent[axis + 1] for axis in (0, 2, 4))]
    lows, highs = ([function(ends) for ends in zip(*filled, strict=True)] for function in (min, max))
    if any(low < 0 or high >= size for low, high, size in zip(lows[::2], highs[1::2], file.size, strict=False)):
        raise ValueError  # some of its voxels would never be copied
    union = [end for axis in (0, 2, 4) for end in (lows[axis], highs[axis + 1])] if filled else [0, -1] * 3
    image.SetExtent(union)
    image.SetImageToWorldMatrix(slicer.util.vtkMatrixFromArray(file.matrix))
    image.AllocateScalars(vtk.VTK_UNSIGNED_CHAR if file.dtype.itemsize == 1 else vtk.VTK_UNSIGNED_SHORT, 1)
    return image


def _copyInto(image: slicer.vtkOrientedImageData, first: int, slab: NDArray[Any]) -> None:
    """Copy what a slab ``(k, j, i)`` that begins at slice ``first`` holds of an image."""
    x0, x1, y0, y1, z0, z1 = image.GetExtent()
    begin, end = max(z0, first), min(z1 + 1, first + len(slab))
    if begin < end:
        arrayOf(image)[begin - z0 : end - z0] = slab[begin - first : end - first, y0 : y1 + 1, x0 : x1 + 1]


def _unreadable(path: Path) -> DataError:
    return DataError(
        _("The result {name} cannot be read.").format(name=path.name),
        _("It is missing or damaged; the scene is as it was."),
        _("Segment the scan again."),
    )
