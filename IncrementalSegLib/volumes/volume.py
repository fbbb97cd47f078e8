"""A volume: samples on a grid in patient space."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

Vector3 = tuple[float, float, float]
Matrix3 = tuple[float, float, float, float, float, float, float, float, float]

IDENTITY: Matrix3 = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


@dataclass(frozen=True)
class Grid:
    """Where the samples of an array lie, as SimpleITK gives it.

    Attributes:
        shape: Samples along D, H, W (z, y, x of the file).
        spacing: Millimetres along x, y, z.
        origin: Position of the first sample in mm, LPS.
        direction: Row-major 3x3 matrix whose columns are the axes x, y, z.
        planar: The file is a 2-D image (D is 1 and has no meaning).
    """

    shape: tuple[int, int, int]
    spacing: Vector3 = (1.0, 1.0, 1.0)
    origin: Vector3 = (0.0, 0.0, 0.0)
    direction: Matrix3 = IDENTITY
    planar: bool = False

    @property
    def matrix(self) -> NDArray[np.float64]:
        """The direction as a 3x3 array."""
        return np.asarray(self.direction, dtype=np.float64).reshape(3, 3)

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel in millilitres."""
        return float(np.prod(self.spacing)) / 1000.0

    @property
    def steps(self) -> Vector3:
        """Millimetres along D, H, W, the axes of an array."""
        x, y, z = self.spacing
        return z, y, x

    def position(self, sample: ArrayLike) -> Vector3:
        """Return where a sample (d, h, w), or a place between samples, lies: x, y, z in mm, LPS."""
        place = np.asarray(sample, dtype=np.float64)[::-1] * self.spacing
        x, y, z = (self.matrix @ place + self.origin).tolist()
        return x, y, z


@dataclass(frozen=True)
class Volume:
    """An image and its grid.

    Attributes:
        array: ``(C, D, H, W)``, any real dtype.
        grid: Where the samples lie.
        unlabelled: ``(D, H, W)`` bool, True where nobody looked for anything, so that no loss and no score
            counts there; ``None``: nowhere.
        padding: Value of each channel that the file declares as padding, outside the field of view; ``None`` for a
            channel, and empty for all, where it declares none.
    """

    array: NDArray[np.generic]
    grid: Grid
    unlabelled: NDArray[np.bool_] | None = None
    padding: tuple[float | None, ...] = ()

    def __post_init__(self) -> None:
        if self.array.ndim != 4 or tuple(self.array.shape[1:]) != self.grid.shape:
            raise ValueError(f"array {self.array.shape} does not fit (C, *{self.grid.shape})")

    @property
    def channels(self) -> int:
        """Number of channels C."""
        return int(self.array.shape[0])

    @cached_property
    def content(self) -> tuple[slice, slice, slice]:
        """The smallest box along D, H, W around the samples that are not zero in all channels; all if none is."""
        box = []
        filled = (self.array != 0).any(axis=0)
        for axis in range(3):
            others = tuple(other for other in range(3) if other != axis)
            found = np.flatnonzero(filled.any(axis=others))
            box.append(slice(int(found[0]), int(found[-1]) + 1) if found.size else slice(0, self.grid.shape[axis]))
        return box[0], box[1], box[2]

    def with_array(self, array: NDArray[np.generic]) -> Volume:
        """Return ``array`` (C, D, H, W) on the same grid."""
        return replace(self, array=array)
