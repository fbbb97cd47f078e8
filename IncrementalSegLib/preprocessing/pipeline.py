"""From a scan to the model's grid and back: ``forward(volume) -> prepared``, ``inverse(maps, record)``."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from IncrementalSegLib.preprocessing.geometry import resized, turn
from IncrementalSegLib.preprocessing.intensity import Normaliser
from IncrementalSegLib.preprocessing.plan import Plan
from IncrementalSegLib.types import Affine
from IncrementalSegLib.volumes.volume import Volume


@dataclass(frozen=True)
class Record:
    """Record of :func:`forward`, by which :func:`inverse` brings maps back to the scan's own grid.

    Attributes:
        order: Permutation of the array axes.
        flips: Axes flipped after the permutation.
        turned: Size of the turned scan before resampling (D, H, W).
    """

    order: tuple[int, int, int]
    flips: tuple[int, ...]
    turned: tuple[int, int, int]

    @property
    def native(self) -> tuple[int, int, int]:
        """Size of the scan before it was turned (D, H, W)."""
        size = [self.turned[self.order.index(axis)] for axis in range(3)]
        return size[0], size[1], size[2]


def forward(volume: Volume, plan: Plan) -> tuple[Tensor, Tensor | None, Record]:
    """Bring a scan to the model's grid: turn, resample, normalise.

    Args:
        volume: The scan; NaN and infinite voxels are padding.
        plan: The model's plan.

    Returns:
        Image ``(C, D, H, W)`` float16, voxels to ignore ``(D, H, W)`` bool or ``None``, and the record.
    """
    record = _record(volume, plan)
    turned = turn(volume.array, record.order, record.flips)
    size = _target_size(volume, plan, record)
    read = Normaliser(turned, plan.normalisation, plan.clip_percent, plan.window, volume.padding)
    slabs = resized(read, volume.channels, record.turned, size)
    image = torch.cat([slab.half() for _, slab in slabs], dim=1)
    valid = np.isfinite(turned).all(axis=0)[np.newaxis]
    if valid.all():
        return image, None, record
    gaps = resized(lambda start, stop: _floats(~valid[:, start:stop]), 1, record.turned, size)
    return image, torch.cat([slab[0] > 0 for _, slab in gaps]), record


def forward_mask(mask: NDArray[np.bool_], volume: Volume, plan: Plan) -> Tensor:
    """Bring a mask ``(D, H, W)`` on the scan's grid to the model's grid as uint8.

    A structure thinner than the voxels of the model's grid may fill less than half of each: it is cut
    lower, where its volume stays, so that it does not vanish.
    """
    record = _record(volume, plan)
    turned = turn(mask[np.newaxis], record.order, record.flips)
    size = _target_size(volume, plan, record)
    if record.turned == size:
        return torch.from_numpy(np.array(turned[0], dtype=np.uint8, order="C"))
    slabs = resized(lambda start, stop: _floats(turned[:, start:stop]), 1, record.turned, size)
    share = torch.cat([slab[0] for _, slab in slabs])
    wanted = math.ceil(np.count_nonzero(mask) / mask.size * share.numel())
    if wanted > int((share >= 0.5).sum()):
        least = share.flatten().kthvalue(share.numel() - wanted + 1).values
        return (share >= least.clamp(1e-3, 0.5)).to(torch.uint8)
    return (share >= 0.5).to(torch.uint8)


def inverse(
    maps: Tensor, record: Record, finish: Callable[[Tensor], Tensor] = lambda slab: slab
) -> NDArray[np.generic]:
    """Bring maps on the model's grid back to the scan's own grid, linearly and slab by slab.

    Args:
        maps: ``(K, D, H, W)`` float32.
        record: What :func:`forward` returned.
        finish: Makes of each slab ``(K, n, H, W)`` of resampled maps what is kept of it, for example masks.

    Returns:
        ``(K', D, H, W)`` on the scan's own grid, of the channels and dtype that ``finish`` returns.
    """
    result, view = np.empty(0), np.empty(0)
    size = (maps.shape[1], maps.shape[2], maps.shape[3])
    for rows, slab in resized(lambda start, stop: maps[:, start:stop], len(maps), size, record.turned):
        kept = finish(slab).numpy()
        if rows.start == 0:
            result = np.empty((len(kept), *record.native), dtype=kept.dtype)
            view = turn(result, record.order, record.flips)
        view[:, rows] = kept
    return result


def to_patient(volume: Volume, plan: Plan) -> Affine:
    """Return the position of the voxels of a prepared scan in the patient.

    Args:
        volume: The scan.
        plan: The model's plan.
    """
    record, grid = _record(volume, plan), volume.grid
    columns = np.zeros((3, 4))
    for axis, (size, turned) in enumerate(zip(_target_size(volume, plan, record), record.turned, strict=True)):
        own = 2 - record.order[axis]  # x, y or z of the file
        step = turned / size
        first = 0.5 * step - 0.5
        flipped = axis in record.flips
        direction = grid.matrix[:, own] * grid.spacing[own]
        columns[:, axis] = direction * (-step if flipped else step)
        columns[:, 3] += direction * (turned - 1 - first if flipped else first)
    columns[:, 3] += grid.origin
    one, two, three = ((a, b, c, d) for a, b, c, d in columns.tolist())
    return one, two, three


def _record(volume: Volume, plan: Plan) -> Record:
    order, flips = plan.turning(volume.grid)
    shape = volume.grid.shape
    return Record(order, flips, (shape[order[0]], shape[order[1]], shape[order[2]]))


def _target_size(volume: Volume, plan: Plan, record: Record) -> tuple[int, int, int]:
    sizes = []
    for size, axis, wanted in zip(record.turned, record.order, plan.spacing, strict=True):
        own = volume.grid.spacing[2 - axis]
        sizes.append(size if wanted is None else max(1, round(size * own / wanted)))
    return (sizes[0], sizes[1], sizes[2])


def _floats(array: NDArray[np.generic]) -> Tensor:
    return torch.from_numpy(np.array(array, dtype=np.float32, order="C"))  # torch takes no negative strides
