"""Small pictures: one slice of a scan, seen as radiologists do, with the contour of a structure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import vtk
from numpy.typing import NDArray
from vtk.util.numpy_support import numpy_to_vtk

_MARGIN = 2.5
"""Side of the picture over the longer side of the structure."""
_LEAST = 0.4
"""Least side of the picture over the longer side of the slice."""


@dataclass(frozen=True)
class Slice:
    """One slice of a scan, rows downwards and columns to the right.

    Attributes:
        image: Grey values.
        mask: What is outlined, of the same shape.
        spacing: Millimetres from row to row and from column to column.
        window: Darkest and brightest grey value to be told apart.
    """

    image: NDArray[Any]
    mask: NDArray[Any]
    spacing: tuple[float, float]
    window: tuple[float, float]


def turned(image: NDArray[Any], mask: NDArray[Any], columns: NDArray[Any], rows: NDArray[Any],
           window: tuple[float, float]) -> Slice:  # fmt: skip
    """Turn a slice as radiologists see it: head or front up, the patient's right (or front) on the left.

    Args:
        image: ``(rows, columns)`` grey values.
        mask: What is outlined, of the same shape.
        columns: Step from one column to the next in mm, RAS.
        rows: Step from one row to the next in mm, RAS.
        window: Darkest and brightest grey value to be told apart.
    """
    steps = [np.asarray(rows, float), np.asarray(columns, float)]
    across, down = (int(np.abs(step).argmax()) for step in (steps[1], steps[0]))
    if across > down:  # R before A before S lies across
        image, mask, steps, (across, down) = image.T, mask.T, steps[::-1], (down, across)
    if steps[0][down] > 0:
        image, mask = image[::-1], mask[::-1]
    if steps[1][across] > 0:
        image, mask = image[:, ::-1], mask[:, ::-1]
    spacing = float(np.linalg.norm(steps[0])), float(np.linalg.norm(steps[1]))
    return Slice(image, mask, spacing, window)


def grey(image: NDArray[Any]) -> tuple[float, float]:
    """Return the window of a picture without one: all but the darkest and brightest hundredth."""
    finite = image[np.isfinite(image)]
    low, high = np.percentile(finite, (1, 99)) if finite.size else (0.0, 1.0)
    return float(low), float(high)


def draw(shown: Slice, color: tuple[float, float, float], size: int = 96) -> NDArray[np.uint8]:
    """Draw the surroundings of a structure, as wide as high, with its contour.

    Args:
        shown: The slice.
        color: Red, green, blue of the contour, each 0..1.
        size: Pixels of a side.

    Returns:
        ``(size, size, 3)``.
    """
    rows, columns = _places(shown, size)
    image = _sampled(np.nan_to_num(shown.image.astype(np.float64)), rows, columns)
    inside = _sampled((shown.mask > 0).astype(np.float64), rows, columns) >= 0.5
    low, high = shown.window
    picture = np.clip((image - low) / max(high - low, 1e-9), 0, 1)[..., np.newaxis].repeat(3, axis=2)
    picture[_contour(inside)] = color
    return np.asarray(picture * 255 + 0.5, dtype=np.uint8)


def save(picture: NDArray[np.uint8], path: Path) -> None:
    """Write a picture ``(rows, columns, 3)`` as PNG.

    Raises:
        OSError: The disk cannot take it.
    """
    image = vtk.vtkImageData()
    image.SetDimensions(picture.shape[1], picture.shape[0], 1)
    image.GetPointData().SetScalars(numpy_to_vtk(np.ascontiguousarray(picture[::-1]).reshape(-1, 3), deep=True))
    writer = vtk.vtkPNGWriter()
    writer.SetInputData(image)
    writer.WriteToMemoryOn()
    writer.Write()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(memoryview(writer.GetResult())))


def _places(shown: Slice, size: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the rows and columns to sample: a square in millimetres around what is outlined."""
    extent = np.multiply(shown.image.shape, shown.spacing)
    outlined = np.argwhere(shown.mask > 0)
    ends = (outlined.min(axis=0), outlined.max(axis=0) + 1) if len(outlined) else ((0, 0), shown.image.shape)
    box = np.multiply(ends, shown.spacing)
    side = float(np.clip(_MARGIN * (box[1] - box[0]).max(), _LEAST * extent.max(), extent.max()))
    # Stay within the slice; where it is narrower than the picture, in its middle.
    center = np.where(side < extent, np.clip(box.mean(axis=0), side / 2, extent - side / 2), extent / 2)
    offsets = ((np.arange(size) + 0.5) / size - 0.5) * side
    rows, columns = ((middle + offsets) / step - 0.5 for middle, step in zip(center, shown.spacing, strict=True))
    return rows, columns


def _sampled(image: NDArray[np.float64], rows: NDArray[np.float64], columns: NDArray[np.float64]) -> NDArray[Any]:
    """Interpolate linearly between samples; beyond the edge the picture has its lowest value."""
    padded = np.pad(image, 1, constant_values=image.min())
    (r0, fr), (c0, fc) = (
        _between(places, size) for places, size in ((rows, image.shape[0]), (columns, image.shape[1]))
    )
    top = padded[r0][:, c0] * (1 - fc) + padded[r0][:, c0 + 1] * fc
    bottom = padded[r0 + 1][:, c0] * (1 - fc) + padded[r0 + 1][:, c0 + 1] * fc
    return top * (1 - fr)[:, np.newaxis] + bottom * fr[:, np.newaxis]


def _between(places: NDArray[np.float64], size: int) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return the padded sample before each place, and how far the place lies beyond it, 0..1."""
    places = np.clip(places, -1, size) + 1
    before = np.minimum(places.astype(np.intp), size)
    return before, places - before


def _contour(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the pixels inside that touch the outside."""
    padded = np.pad(inside, 1)
    core = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return inside & ~core
