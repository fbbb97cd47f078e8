"""One file as it lies on the disk, in the form that all readers give it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from IncrementalSegLib.errors import DataError, GeometryError
from IncrementalSegLib.volumes.grids import orthonormal, refuse_shear
from IncrementalSegLib.volumes.notes import Note
from IncrementalSegLib.volumes.volume import Grid, Matrix3, Vector3

_ROUNDING = 1e-6
"""Deviation of directions that is float32 rounding and worth no word."""


@dataclass(frozen=True)
class RawImage:
    """One file as it lies on the disk.

    Attributes:
        array: ``(C, D, H, W)``.
        grid: Where the samples lie; directions orthonormal.
        metadata: The text fields of the file.
        padding: The value that the file declares as padding.
    """

    array: NDArray[Any]
    grid: Grid
    metadata: Mapping[str, str] = field(default_factory=dict)
    padding: float | None = None


def grid_of(
    name: str,
    shape: Sequence[int],
    spacing: Sequence[float],
    origin: Sequence[float],
    direction: NDArray[np.float64],
    notes: list[Note],
) -> Grid:
    """Return the grid that a header describes, in two or three axes.

    Args:
        name: Name of the file, for messages.
        shape: Samples along y, x or z, y, x.
        spacing: Millimetres along x, y(, z).
        origin: Position of the first sample in mm, LPS.
        direction: Matrix whose columns are the axes x, y(, z).
        notes: A repair of the directions is appended here.

    Raises:
        GeometryError: The spacing is not above zero, a number is not finite, or the axes are sheared.
    """
    axes = len(shape)
    steps = " x ".join(f"{step:g}" for step in spacing)
    if not (np.isfinite([*spacing, *origin]).all() and np.isfinite(direction).all()) or min(spacing) <= 0:
        raise GeometryError(
            f"{name} gives its voxels an impossible size or place: spacing {steps}, origin "
            f"{' x '.join(f'{value:g}' for value in origin)}.",
            todo="Export the scan again.",
        )
    matrix = np.eye(3)
    matrix[:axes, :axes] = direction
    shear = refuse_shear(matrix, name)
    if shear > _ROUNDING:
        said = f"The directions of {name} were not orthonormal (deviation {shear:.1g}) and were repaired."
        notes.append(Note("repaired-directions", said))
        matrix = orthonormal(matrix)
    depth, height, width = [1] * (3 - axes) + list(shape)
    missing = 3 - axes
    return Grid(
        (depth, height, width),
        _vector([*spacing, *[1.0] * missing]),
        _vector([*origin, *[0.0] * missing]),
        _matrix(matrix),
        planar=axes == 2,
    )


def fourth_axis(name: str, count: int, time: str, notes: list[Note]) -> None:
    """Say that a fourth axis is taken for channels, or refuse it where the header calls it time.

    Args:
        name: Name of the file.
        count: Samples along the axis.
        time: What in the header says that the axis is time, as a noun; empty where nothing does.
        notes: Receives the assumption.

    Raises:
        DataError: The axis is time.
    """
    if count < 2:
        return
    if time:
        raise DataError(
            f"{name} holds {count} time frames (its header has {time}).",
            "Frames are not channels: a structure moves between them.",
            "Save one frame as a 3-D file; to teach several as channels, save each as a file of its own.",
        )
    said = f"{name} has a fourth axis of {count}, taken for channels: if it holds time frames, save one as a 3-D file."
    notes.append(Note("fourth-axis", said))


def _vector(values: Sequence[float]) -> Vector3:
    return (float(values[0]), float(values[1]), float(values[2]))


def _matrix(matrix: NDArray[np.float64]) -> Matrix3:
    a, b, c, d, e, f, g, h, i = (float(value) for value in matrix.ravel())
    return (a, b, c, d, e, f, g, h, i)
