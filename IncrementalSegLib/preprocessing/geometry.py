"""Orientation and resampling between a scan's own grid and the model's, exactly invertible in shape."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import permutations
from typing import TypeVar

import numpy as np
import torch
from monai.transforms import Resize
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn import functional as F

from IncrementalSegLib.preprocessing.rules import Order, Orders, Sampled
from IncrementalSegLib.volumes.volume import Grid

_SLAB = 1 << 22
"""Samples that are resampled at a time."""

T = TypeVar("T", bound=np.generic)
Size = tuple[int, int, int]
"""Samples along D, H, W."""

SMOOTHED: Orders = (None, None, None)
"""Linear resampling along all axes, smoothed along those that shrink."""

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


def turn(array: NDArray[T], order: Sequence[int], flips: Sequence[int]) -> NDArray[T]:
    """Return a view of ``(C, D, H, W)`` with the last three axes permuted, then flipped; no sample is copied."""
    view: NDArray[T] = np.flip(array.transpose(0, *(axis + 1 for axis in order)), tuple(axis + 1 for axis in flips))
    return view


def resize(array: Tensor, size: Size) -> Tensor:
    """Resample ``(C, D, H, W)`` linearly to ``size``, smoothing first along axes that shrink.

    The field of view stays: sample centres of the outermost voxels move inwards or outwards.
    """
    before = (array.shape[1], array.shape[2], array.shape[3])
    if before == tuple(size):
        return array
    slabs = resized(lambda start, stop: array[:, start:stop].float(), array.shape[0], before, size)
    return torch.cat([slab for _, slab in slabs], dim=1)


def resized(
    read: Callable[[int, int], Tensor | None],
    channels: int,
    before: Size,
    after: Size,
    orders: Orders = SMOOTHED,
) -> Iterator[tuple[slice, Tensor]]:
    """Resample an image slab by slab, so that neither it nor the result need be held as floats.

    Splines, and the smoothing before linear resampling, act along each axis alone, so that each axis is one matrix.

    Args:
        read: Returns the samples ``(C, stop - start, H, W)`` float32 of the rows ``start`` to ``stop`` along D, or
            ``None`` where what they become is not wanted.
        channels: C.
        before: D, H, W of the image.
        after: D, H, W of the result.
        orders: Spline order along each axis.

    Yields:
        A range of rows of the result along D, and its samples ``(C, n, H, W)`` float32, on the device of the image.
    """
    depth = _axis(before[0], after[0], orders[0])
    widest = max(math.prod(before[1:]) * max(1, before[0] // after[0]), math.prod(after[1:]))
    count = max(1, _SLAB // (channels * widest))
    for start in range(0, after[0], count):
        rows = depth[start : start + count]
        used = rows.any(dim=0).nonzero()
        first, last = int(used[0]), int(used[-1]) + 1
        slab = read(first, last)
        if slab is None:
            continue
        if _changes(before[0], after[0], orders[0]):
            slab = (rows[:, first:last].to(slab.device) @ slab.flatten(2)).unflatten(2, before[1:])
        yield slice(start, start + len(rows)), _in_plane(slab, after[1:], orders[1:])


def _in_plane(slab: Tensor, size: tuple[int, int], orders: tuple[Order, Order]) -> Tensor:
    """Resample ``(C, n, H, W)`` along H and W; linear enlargement, which torch does faster, comes last."""
    height, width = slab.shape[2:]
    if _changes(height, size[0], orders[0]) and (size[0] < height or orders[0] is not None):
        slab = _axis(height, size[0], orders[0]).to(slab.device) @ slab
    if _changes(width, size[1], orders[1]) and (size[1] < width or orders[1] is not None):
        slab = slab @ _axis(width, size[1], orders[1]).T.to(slab.device)
    if tuple(slab.shape[2:]) == size:
        return slab
    return F.interpolate(slab, size=size, mode="bilinear", align_corners=False)


def _changes(before: int, after: int, order: Order) -> bool:
    """Return whether an axis is resampled at all."""
    return before != after or (isinstance(order, Sampled) and (order.step, order.start) != (1, 0))


@lru_cache(maxsize=64)
def _axis(before: int, after: int, order: Order = None) -> Tensor:
    """Return the matrix ``(after, before)`` that resamples one axis: what becomes of each single sample.

    Its rows add up to 1, so that a constant image stays constant up to its border.
    """
    if isinstance(order, Sampled):
        return _sampled(before, after, order)
    if order is not None:
        return _spline(before, after, order)
    samples = torch.eye(before)
    if after >= before:
        return F.interpolate(samples[None], size=after, mode="linear", align_corners=False)[0].T.contiguous()
    matrix = torch.from_numpy(np.asarray(Resize((after,), mode="linear", anti_aliasing=True)(samples))).T
    return (matrix / matrix.sum(dim=1, keepdim=True)).contiguous()


def _spline(before: int, after: int, order: int) -> Tensor:
    """Return the matrix of a spline without smoothing, whose samples beyond the border repeat the last one."""
    if before == after:
        return torch.eye(before)
    if order == 0:
        nearest = np.floor(before / after * (np.arange(after) + 0.5) - 0.5 + 0.5).astype(np.int64)
        return torch.eye(before)[torch.from_numpy(nearest.clip(0, before - 1))]
    samples, result = np.eye(before), np.empty((after, before))
    ndimage.zoom(samples, (after / before, 1), output=result, order=order, mode="nearest", grid_mode=True)
    return torch.from_numpy(result).float()


def _sampled(before: int, after: int, order: Sampled) -> Tensor:
    """Return the matrix that samples an axis at given places; beyond the border lies the last sample."""
    places = (order.start + np.arange(after) * order.step).clip(0, before - 1)
    if order.nearest:
        return torch.eye(before)[torch.from_numpy(np.rint(places).astype(np.int64))]
    below = np.floor(places).astype(np.int64)
    matrix, rows, share = np.zeros((after, before)), np.arange(after), places - below
    matrix[rows, below] = 1 - share
    matrix[rows, (below + 1).clip(max=before - 1)] += share
    return torch.from_numpy(matrix).float()


def _nearness(matrix: NDArray[np.float64]) -> tuple[float, ...]:
    """Return how near three directions lie to L, P and S; first of two that are equally near: the larger products.

    A scan turned by 45 degrees is as near to either axis.  Products of the parts of a direction do not depend
    on its sign, so that such a scan is turned alike from whichever end it is stored.
    """
    products = matrix[[0, 0, 1]] * matrix[[1, 2, 2]]
    return tuple(np.round([np.abs(np.diag(matrix)).sum(), *products.T.ravel()], 5))
