"""DICOM segmentations: the masks of their segments on the grid of their own frames."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from IncrementalSegLib.errors import DataError, GeometryError
from IncrementalSegLib.volumes.dicom_files import DicomFile, understood
from IncrementalSegLib.volumes.dicom_frames import Frame, frames_of, place_of
from IncrementalSegLib.volumes.dicom_grid import SLICE_TOLERANCE, agree, grid_of_slices
from IncrementalSegLib.volumes.dicom_pixels import stored
from IncrementalSegLib.volumes.memory import require_memory
from IncrementalSegLib.volumes.notes import Note
from IncrementalSegLib.volumes.volume import Grid

_ONE_PLACE = 0.01
"""Millimetres between two slices that count as one place."""

Segments = tuple[tuple[str, int, int], ...]
"""Name, layer and value of each segment."""


def names(source: DicomFile) -> tuple[str, ...]:
    """Return the names of the segments, in the order of the file."""
    with understood(source.path.name):
        return tuple(dict.fromkeys(name for _, name in _listed(source)))


def read(source: DicomFile, notes: list[Note]) -> tuple[NDArray[Any], Grid, Segments]:
    """Read all segments; those that overlap go to different layers.

    Args:
        source: The file.
        notes: What was assumed is appended here.

    Returns:
        ``(L, D, H, W)`` labels, their grid, and where each segment is found in them.

    Raises:
        DataError: The file cannot be understood, or is larger than the free memory.
        GeometryError: Its frames do not lie on one regular grid.
    """
    with understood(source.path.name):
        frames = frames_of(source)
        listed = _listed(source)
        grid, slices = _grid(frames, source.path.name, notes)
        dtype = np.dtype(np.uint8 if len(listed) < 256 else np.uint16)
        require_memory(source.path.name, int(np.prod(grid.shape)) * max(1, len(listed) // 8), dtype.itemsize)
        layers: list[NDArray[Any]] = []
        found = []
        for value, (number, name) in enumerate(listed, start=1):
            mask = _mask(source, number, slices, grid, notes)
            layer = next((index for index, taken in enumerate(layers) if not taken[mask].any()), len(layers))
            if layer == len(layers):
                layers.append(np.zeros(grid.shape, dtype))
            layers[layer][mask] = value
            found.append((name, layer, value))
        return np.stack(layers) if layers else np.zeros((1, *grid.shape), dtype), grid, tuple(found)


def _listed(source: DicomFile) -> list[tuple[int, str]]:
    """Return number and name of each segment."""
    items = list(source.dataset.get("SegmentSequence") or ())
    numbers = [int(item.SegmentNumber) for item in items]
    labels = [str(item.get("SegmentLabel") or f"Segment {item.SegmentNumber}") for item in items]
    return [pair for pair in zip(numbers, labels, strict=True) if pair[0] != 0]  # 0 is background


def _grid(frames: Sequence[Frame], name: str, notes: list[Note]) -> tuple[Grid, list[tuple[Frame, int]]]:
    """Return the grid that holds all frames, and the slice on which each lies; slices in between may be missing."""
    agree(frames)
    if frames[0].position is None:
        raise GeometryError(
            f"{name} does not give the positions of its frames.", todo="Export it again, or as .seg.nrrd."
        )
    normal = frames[0].normal
    along = np.array([place_of(frame) @ normal for frame in frames])
    places = np.sort(along)
    gaps = [after - before for before, after in pairwise(places) if after - before > _ONE_PLACE]
    first = frames[int(along.argmin())]
    said = abs(first.distance or 0.0)
    smallest = min(gaps, default=said or abs(first.thickness or 0.0) or 1.0)
    step = said if said and _multiples(gaps, said) else smallest
    if not _multiples(gaps, step):
        raise GeometryError(f"The frames of {name} are not equally spaced.", todo="Export it as .seg.nrrd.")
    steps = (along - along.min()) / step
    numbers = np.round(steps).astype(np.int64)
    off = np.array([place_of(frame) for frame in frames]) - place_of(first) - numbers[:, np.newaxis] * step * normal
    if np.abs(off).max() > SLICE_TOLERANCE * step:
        raise GeometryError(f"The frames of {name} are not on one grid.", todo="Export it as .seg.nrrd.")
    count = int(numbers.max()) + 1
    require_memory(name, count * first.rows * first.columns, 1)
    grid = grid_of_slices(first, count, step, name, notes)
    return grid, list(zip(frames, numbers.tolist(), strict=True))


def _multiples(gaps: Sequence[float], step: float) -> bool:
    return all(abs(gap / step - round(gap / step)) <= SLICE_TOLERANCE and gap > step / 2 for gap in gaps)


def _mask(
    source: DicomFile, number: int, slices: Sequence[tuple[Frame, int]], grid: Grid, notes: list[Note]
) -> NDArray[np.bool_]:
    """Return the mask of one segment."""
    header = source.dataset
    kind = str(header.get("SegmentationType", "BINARY"))
    if kind not in ("BINARY", "FRACTIONAL", "LABELMAP"):
        raise DataError(f"{source.path.name} is a segmentation of the type {kind[:40]!r}.", todo="Export .seg.nrrd.")
    own = [pair for pair in slices if kind == "LABELMAP" or pair[0].segment == number]
    mask = np.zeros(grid.shape, dtype=np.bool_)
    threshold = float(header.get("MaximumFractionalValue") or 1) / 2 if kind == "FRACTIONAL" else 0.5
    said = Note("fractional-mask", f"{source.path.name} holds fractions: voxels of one half and more count.")
    if kind == "FRACTIONAL" and said not in notes:
        notes.append(said)
    for (_, place), pixels in zip(own, stored(source.path, [frame.index for frame, _ in own]), strict=True):
        mask[place] |= pixels == number if kind == "LABELMAP" else pixels >= threshold
    return mask
