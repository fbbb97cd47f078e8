"""Small pictures: one slice of a scan, seen as radiologists do, with the contour of a structure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from IncrementalSegLib.reports.pictures import Contour, Field, Picture, outline_picture, png
from IncrementalSegPanel.scene.Files import Whole

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
        window: Darkest and brightest grey value to be told apart; ``None`` where nobody chose them.
    """

    image: NDArray[Any]
    mask: NDArray[Any]
    spacing: tuple[float, float]
    window: tuple[float, float] | None


def turned(image: NDArray[Any], mask: NDArray[Any], columns: NDArray[Any], rows: NDArray[Any],
           window: tuple[float, float] | None) -> Slice:  # fmt: skip
    """Turn a slice as radiologists see it: head or front up, the patient's right (or front) on the left.

    Args:
        image: ``(rows, columns)`` grey values.
        mask: What is outlined, of the same shape.
        columns: Step from one column to the next in mm, RAS.
        rows: Step from one row to the next in mm, RAS.
        window: Darkest and brightest grey value to be told apart; ``None`` where nobody chose them.
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


def draw(shown: Slice, color: tuple[float, float, float], size: int = 96) -> NDArray[np.uint8]:
    """Draw the surroundings of a structure, as wide as high, with its contour.

    Args:
        shown: The slice.
        color: Red, green, blue of the contour, each 0..1.
        size: Pixels of a side.

    Returns:
        ``(size, size, 3)``.
    """
    contour = Contour(shown.mask > 0, np.multiply(color, 255))
    down, across = shown.spacing
    return outline_picture(shown.image, [contour], down / across, size, window=shown.window, field=_field(shown))


def write(path: Path, picture: Picture) -> None:
    """Write a picture as PNG; it is needed in this run only, so the disk is not waited for.

    Raises:
        OSError: It cannot be written.
    """
    with Whole(path) as file:
        file.write(png(picture))
        file.complete()


def _field(shown: Slice) -> Field:
    """Return the rows and columns to show: a square in millimetres around what is outlined."""
    extent = np.multiply(shown.image.shape, shown.spacing)
    outlined = np.argwhere(shown.mask > 0)
    ends = (outlined.min(axis=0), outlined.max(axis=0) + 1) if len(outlined) else ((0, 0), shown.image.shape)
    box = np.multiply(ends, shown.spacing)
    side = float(np.clip(_MARGIN * (box[1] - box[0]).max(), _LEAST * extent.max(), extent.max()))
    # Stay within the slice; where it is narrower than the picture, in its middle.
    center = np.where(side < extent, np.clip(box.mean(axis=0), side / 2, extent - side / 2), extent / 2)
    (top, left), (bottom, right) = (center - side / 2) / shown.spacing, (center + side / 2) / shown.spacing
    return (float(top), float(bottom)), (float(left), float(right))
