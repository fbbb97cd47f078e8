"""From a scan to the model's grid and back: ``forward(volume) -> prepared``, ``inverse(maps, record)``."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from IncrementalSegLib.preprocessing.geometry import resize, turn, turn_back
from IncrementalSegLib.preprocessing.intensity import zscore
from IncrementalSegLib.preprocessing.plan import Plan
from IncrementalSegLib.types import Affine
from IncrementalSegLib.volumes.volume import Volume


@dataclass(frozen=True)
class Record:
    """What :func:`inverse` needs to bring maps back to the scan's own grid.

    Attributes:
        order: Permutation of the array axes.
        flips: Axes flipped after the permutation.
        turned: Size of the turned scan before resampling (D, H, W).
    """

    order: tuple[int, int, int]
    flips: tuple[int, ...]
    turned: tuple[int, int, int]


def forward(volume: Volume, plan: Plan) -> tuple[Tensor, Tensor | None, Record]:
    """Bring a scan to the model's grid: turn, resample, normalise.

    Args:
        volume: The scan; NaN and infinite voxels are ignored.
        plan: The model's plan.

    Returns:
        Image ``(C, D, H, W)`` float16, voxels to ignore ``(D, H, W)`` bool or ``None``, and the record.
    """
    record = _record(volume, plan)
    image = turn(torch.from_numpy(np.ascontiguousarray(volume.array, dtype=np.float32)), record.order, record.flips)
    invalid = ~torch.isfinite(image).all(dim=0)
    size = _target_size(volume, plan, record)
    ignore = None
    if bool(invalid.any()):
        image = torch.nan_to_num(image, nan=0.0, posinf=0.0, neginf=0.0)
        ignore = resize(invalid[None].float(), size)[0] > 0
    image = zscore(image.contiguous(), None if ignore is None else ~invalid, plan.clip_percent)
    return resize(image, size).half().contiguous(), ignore, record


def forward_mask(mask: NDArray[np.bool_], volume: Volume, plan: Plan) -> Tensor:
    """Bring a mask ``(D, H, W)`` on the scan's grid to the model's grid as uint8.

    A structure thinner than the voxels of the model's grid may fill less than half of each: it is cut
    lower, where its volume stays, so that it does not vanish.
    """
    record = _record(volume, plan)
    turned = turn(torch.from_numpy(np.ascontiguousarray(mask, dtype=np.uint8))[None], record.order, record.flips)
    size = _target_size(volume, plan, record)
    if tuple(turned.shape[1:]) == size:
        return turned[0].contiguous()
    share = resize(turned.float(), size)[0]
    wanted = math.ceil(float(turned.float().mean()) * share.numel())
    if wanted > int((share >= 0.5).sum()):
        least = share.flatten().kthvalue(share.numel() - wanted + 1).values
        return (share >= least.clamp(1e-3, 0.5)).to(torch.uint8)
    return (share >= 0.5).to(torch.uint8)


def inverse(maps: Tensor, record: Record) -> Tensor:
    """Bring ``(K, D, H, W)`` maps on the model's grid back to the scan's own grid, linearly."""
    return turn_back(resize(maps, record.turned), record.order, record.flips)


def to_patient(volume: Volume, plan: Plan) -> Affine:
    """Return where the voxels of a prepared scan lie in the patient.

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
