"""From a scan to the model's grid and back: ``forward(volume) -> prepared``, ``inverse(maps, record)``.

A plan with the rules of an adopted model crops, normalises and resamples by them; the way is the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from IncrementalSegLib.preprocessing.bundle import BundleRules, transformed
from IncrementalSegLib.preprocessing.geometry import SMOOTHED, Size, resized, turn
from IncrementalSegLib.preprocessing.intensity import Normaliser
from IncrementalSegLib.preprocessing.plan import Plan
from IncrementalSegLib.preprocessing.rules import Orders, Sampled
from IncrementalSegLib.preprocessing.schemes import finite, normalised
from IncrementalSegLib.types import Affine
from IncrementalSegLib.volumes.volume import Volume

T = TypeVar("T", bound=np.generic)

_CPU = torch.device("cpu")


@dataclass(frozen=True)
class Record:
    """Record of :func:`forward`, by which :func:`inverse` brings maps back to the scan's own grid.

    Attributes:
        order: Permutation of the array axes.
        flips: Axes flipped after the permutation.
        turned: Size of the turned scan before resampling (D, H, W).
        box: The part of the turned scan that the network sees; ``None``: all of it.
        grid: Orders of the resampling to the model's grid.
        orders: Orders of the resampling to the scan's own grid.
    """

    order: tuple[int, int, int]
    flips: tuple[int, ...]
    turned: tuple[int, int, int]
    box: tuple[slice, slice, slice] | None = None
    grid: Orders = SMOOTHED
    orders: Orders = SMOOTHED

    @property
    def seen(self) -> Size:
        """Size of the part of the turned scan that the network sees (D, H, W)."""
        if self.box is None:
            return self.turned
        depth, height, width = (part.stop - part.start for part in self.box)
        return depth, height, width

    @property
    def places(self) -> Orders:
        """Orders of the resampling of masks to the model's grid."""
        return self.grid if isinstance(self.grid[0], Sampled) else SMOOTHED

    @property
    def averages(self) -> bool:
        """Whether maps are brought back as weighted means: splines of higher order have negative weights."""
        return all(order in (None, 0, 1) or isinstance(order, Sampled) for order in self.orders)

    def part(self, array: NDArray[T]) -> NDArray[T]:
        """Return a view of ``(C, D, H, W)``, on the scan's grid, that is turned and cut to what the network sees."""
        turned = turn(array, self.order, self.flips)
        return turned if self.box is None else turned[(slice(None), *self.box)]

    @property
    def native(self) -> tuple[int, int, int]:
        """Size of the scan before it was turned (D, H, W)."""
        size = [self.turned[self.order.index(axis)] for axis in range(3)]
        return size[0], size[1], size[2]


def forward(volume: Volume, plan: Plan, device: torch.device = _CPU) -> tuple[Tensor, Tensor | None, Record]:
    """Bring a scan to the model's grid: turn, resample, normalise.

    Args:
        volume: The scan; NaN and infinite voxels are padding.
        plan: The model's plan.
        device: Where it is resampled, slab by slab.

    Returns:
        On the CPU: image ``(C, D, H, W)`` float16, float32 by adopted rules; voxels to ignore ``(D, H, W)`` bool or
        ``None``; and the record.

    Raises:
        DataError: A channel has values that the rules of nnU-Net do not allow.
    """
    record = _record(volume, plan)
    turned = record.part(volume.array)
    size = _target_size(volume, plan, record)
    if plan.rules is None:
        read = Normaliser(turned, plan.normalisation, plan.clip_percent, plan.window, volume.padding)
        slabs = resized(lambda start, stop: read(start, stop).to(device), volume.channels, record.seen, size)
        image = torch.cat([slab.half().cpu() for _, slab in slabs], dim=1)
    elif isinstance(plan.rules, BundleRules):
        image = _resampled(transformed(torch.from_numpy(finite(turned)), plan.rules.before), size, record.grid, device)
        image = transformed(image, plan.rules.after)
    else:
        image = _splined(normalised(turned, plan.rules.intensities), size, record.grid, device)
    if not np.issubdtype(turned.dtype, np.floating):
        return image, None, record
    valid = np.isfinite(turned).all(axis=0)[np.newaxis]
    if valid.all():
        return image, None, record
    gaps = resized(lambda start, stop: _floats(~valid[:, start:stop]), 1, record.seen, size, record.places)
    return image, torch.cat([slab[0] > 0 for _, slab in gaps]), record


def forward_mask(mask: NDArray[np.bool_], volume: Volume, plan: Plan) -> Tensor:
    """Bring a mask ``(D, H, W)`` on the scan's grid to the model's grid as uint8.

    A structure thinner than the voxels of the model's grid may fill less than half of each: it is cut
    lower, where its volume stays, so that it does not vanish.
    """
    record = _record(volume, plan)
    turned = record.part(mask[np.newaxis])
    size = _target_size(volume, plan, record)
    if record.seen == size and record.places == SMOOTHED:
        return torch.from_numpy(np.array(turned[0], dtype=np.uint8, order="C"))
    slabs = resized(lambda start, stop: _floats(turned[:, start:stop]), 1, record.seen, size, record.places)
    share = torch.cat([slab[0] for _, slab in slabs])
    wanted = math.ceil(np.count_nonzero(turned) / turned.size * share.numel())
    if wanted > int((share >= 0.5).sum()):
        least = share.flatten().kthvalue(share.numel() - wanted + 1).values
        return (share >= least.clamp(1e-3, 0.5)).to(torch.uint8)
    return (share >= 0.5).to(torch.uint8)


def inverse(
    maps: Tensor,
    record: Record,
    finish: Callable[[Tensor], Tensor] = lambda slab: slab,
    device: torch.device = _CPU,
    *,
    decides: bool = False,
) -> NDArray[np.generic]:
    """Bring maps on the model's grid back to the scan's own grid, slab by slab; zero outside of what was seen.

    Args:
        maps: ``(K, D, H, W)`` float32.
        record: What :func:`forward` returned.
        finish: Makes of each slab ``(K, n, H, W)`` of resampled maps what is kept of it, for example masks.
        device: Where slabs are resampled and finished.
        decides: ``finish`` returns zeros for any mean of samples for each of which it does. Rows between rows of zeros
            are not resampled then.

    Returns:
        ``(K', D, H, W)`` on the scan's own grid, of the channels and dtype that ``finish`` returns.
    """
    result, view = np.empty(0), np.empty(0)
    size = (maps.shape[1], maps.shape[2], maps.shape[3])
    found = [True] * size[0]
    if decides and record.averages:
        found = [bool(finish(maps[:, row : row + 1].to(device)).any()) for row in range(size[0])]

    def read(start: int, stop: int) -> Tensor | None:
        return maps[:, start:stop].to(device) if start == 0 or any(found[start:stop]) else None

    for rows, slab in resized(read, len(maps), size, record.seen, record.orders):
        kept = finish(slab).cpu().numpy()
        if rows.start == 0:
            result = np.zeros((len(kept), *record.native), dtype=kept.dtype)
            view = record.part(result)
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
    starts = [0, 0, 0] if record.box is None else [part.start for part in record.box]
    sizes = zip(_target_size(volume, plan, record), record.seen, record.turned, starts, strict=True)
    for axis, (size, seen, turned, start) in enumerate(sizes):
        own, order = 2 - record.order[axis], record.grid[axis]  # x, y or z of the file
        step = order.step if isinstance(order, Sampled) else seen / size
        first = start + order.start if isinstance(order, Sampled) else start + 0.5 * step - 0.5
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
    record = Record(order, flips, (shape[order[0]], shape[order[1]], shape[order[2]]))
    if plan.rules is None:
        return record
    own, target = _spacing(volume, record), _target_spacing(volume, plan, record)
    directions = volume.grid.matrix[:, [2 - axis for axis in order]]
    directions[:, list(flips)] *= -1
    starts = plan.rules.starts(directions, record.turned, own, target)
    grid, back = plan.rules.to_grid(own, target, starts), plan.rules.from_grid(target, own, starts)
    record = replace(record, grid=grid, orders=back)
    if not plan.rules.cropped:
        return record
    box = [volume.content[axis] for axis in order]
    for axis in flips:
        box[axis] = slice(record.turned[axis] - box[axis].stop, record.turned[axis] - box[axis].start)
    return replace(record, box=(box[0], box[1], box[2]))


def _spacing(volume: Volume, record: Record) -> list[float]:
    """Return the spacing of the turned scan in mm."""
    return [volume.grid.spacing[2 - axis] for axis in record.order]


def _target_spacing(volume: Volume, plan: Plan, record: Record) -> list[float]:
    """Return the spacing of the prepared scan in mm."""
    return plan.target_spacing(_spacing(volume, record))


def _target_size(volume: Volume, plan: Plan, record: Record) -> Size:
    return plan.resampled_size(record.seen, _spacing(volume, record))


def _splined(image: Tensor, size: Size, orders: Orders, device: torch.device) -> Tensor:
    """Resample ``(C, D, H, W)`` by splines that stay within the range of their channel.

    An axis that is resampled apart comes last, and splines stay within the range of their slice along it.
    """
    apart = next((axis for axis in range(3) if orders.count(orders[axis]) == 1), None)
    others = [axis + 1 for axis in range(3) if axis != apart]
    depth, height, width = (image.shape[axis + 1] if axis == apart else size[axis] for axis in range(3))
    low, high = image.amin(others, keepdim=True), image.amax(others, keepdim=True)
    first = _resampled(image, (depth, height, width), orders, device).clamp_(low, high)
    return _resampled(first, size, orders, device)


def _resampled(image: Tensor, size: Size, orders: Orders, device: torch.device) -> Tensor:
    before = (image.shape[1], image.shape[2], image.shape[3])
    slabs = resized(lambda start, stop: image[:, start:stop].to(device), len(image), before, size, orders)
    return torch.cat([slab.cpu() for _, slab in slabs], dim=1)


def _floats(array: NDArray[np.generic]) -> Tensor:
    return torch.from_numpy(np.array(array, dtype=np.float32, order="C"))  # torch takes no negative strides
