"""Orientation and resampling between a scan's own grid and the model's, exactly invertible in shape."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

import numpy as np
import torch
from monai.transforms import Resize
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from IncrementalSegLib.volumes.volume import Grid

_AXIS_OF = {"L": (0, 1), "R": (0, -1), "P": (1, 1), "A": (1, -1), "S": (2, 1), "I": (2, -1)}
"""Letter -> anatomical axis (in LPS) and the sign of the direction it names."""

VIEWS = {0: "LIP", 1: "PIL", 2: "SPL"}
"""Anatomical axis that is sliced -> orientation code: sagittal, coronal, axial, shown as a radiologist expects."""


def orient(grid: Grid, code: str) -> tuple[tuple[int, int, int], tuple[int, ...]]:
    """Find how an array on ``grid`` is turned to the orientation ``code``.

    An oblique scan is assigned to the nearest anatomical axes, however its samples are stored; no samples
    are interpolated.

    Args:
        grid: The scan's grid.
        code: Three letters that name the direction in which D, H and W grow, for example ``SPL``:
            D to superior, H to posterior, W to left.

    Returns:
        Permutation of the array axes (D, H, W) and the axes to flip afterwards.
    """
    matrix = grid.matrix
    file_axis = max(permutations(range(3)), key=lambda axes: _nearness(matrix[:, list(axes)]))
    order, flips = [], []
    for target, letter in enumerate(code):
        anatomical, sign = _AXIS_OF[letter]
        order.append(2 - file_axis[anatomical])  # arrays are indexed z, y, x
        if sign * matrix[anatomical, file_axis[anatomical]] < 0:
            flips.append(target)
    return (order[0], order[1], order[2]), tuple(flips)


def turn(array: Tensor, order: Sequence[int], flips: Sequence[int]) -> Tensor:
    """Permute and flip the last three axes of ``(C, D, H, W)``."""
    array = array.permute(0, *(axis + 1 for axis in order))
    return array.flip([axis + 1 for axis in flips]) if flips else array


def turn_back(array: Tensor, order: Sequence[int], flips: Sequence[int]) -> Tensor:
    """Undo :func:`turn`."""
    array = array.flip([axis + 1 for axis in flips]) if flips else array
    return array.permute(0, *(list(order).index(axis) + 1 for axis in range(3)))


def resize(array: Tensor, size: Sequence[int]) -> Tensor:
    """Resample ``(C, D, H, W)`` linearly to ``size``, smoothing first along axes that shrink.

    The field of view stays: sample centres of the outermost voxels move inwards or outwards.
    """
    if tuple(array.shape[1:]) == tuple(size):
        return array
    shrinks = any(after < before for before, after in zip(array.shape[1:], size, strict=True))
    if not shrinks:
        return F.interpolate(array[None].float(), size=tuple(size), mode="trilinear", align_corners=False)[0]
    resampled: Tensor = Resize(tuple(size), mode="trilinear", anti_aliasing=True)(array.float())
    return torch.as_tensor(resampled)


def _nearness(matrix: NDArray[np.float64]) -> tuple[float, ...]:
    """Return how near three directions lie to L, P and S; first of two that are equally near: the larger products.

    A scan turned by 45 degrees is as near to either axis.  Products of the parts of a direction do not depend
    on its sign, so that such a scan is turned alike from whichever end it is stored.
    """
    products = matrix[[0, 0, 1]] * matrix[[1, 2, 2]]
    return tuple(np.round([np.abs(np.diag(matrix)).sum(), *products.T.ravel()], 5))
