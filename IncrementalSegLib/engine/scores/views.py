"""From a scan with masks to the one slice that a person would look at, in the model's orientation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from IncrementalSegLib.preprocessing.geometry import turn
from IncrementalSegLib.preprocessing.plan import Plan
from IncrementalSegLib.reports.slices import SliceRow
from IncrementalSegLib.volumes.volume import Volume

Mask = NDArray[np.bool_]


def view(case: str, volume: Volume, truth: Mask, predictions: Sequence[Mask], plan: Plan) -> SliceRow:
    """Return the slice in which the truth is largest.

    Args:
        case: Name of the case.
        volume: The scan.
        truth: Mask ``(D, H, W)`` on its grid, not empty.
        predictions: Masks on its grid.
        plan: The model's plan, which says how the scan is turned.
    """
    image, spacing = turned(volume.array, volume, plan)
    outline, *found = (turned(mask[None], volume, plan)[0][0] > 0 for mask in (truth, *predictions))
    return SliceRow.of(case, image, outline, found, spacing)


def turned(array: NDArray[np.generic], volume: Volume, plan: Plan) -> tuple[NDArray[np.generic], tuple[float, ...]]:
    """Return ``(C, D, H, W)`` in the model's orientation, and its spacing along D, H, W in mm."""
    order, flips = plan.turning(volume.grid)
    spacing = tuple(volume.grid.spacing[2 - axis] for axis in order)
    return turn(array, order, flips), spacing


def position(volume: Volume, truth: Mask, plan: Plan) -> tuple[float, float, float]:
    """Return the middle of the truth in the slice that :func:`view` shows: x, y, z in mm, LPS.

    Args:
        volume: The scan.
        truth: Mask ``(D, H, W)`` on its grid, not empty.
        plan: The model's plan.
    """
    order, flips = plan.turning(volume.grid)
    sums = truth.sum(axis=tuple(axis for axis in range(3) if axis != order[0]))
    sums = sums[::-1] if 0 in flips else sums
    index = int(sums.argmax())
    shown = np.zeros_like(truth)
    plane: list[slice | int] = [slice(None)] * 3
    plane[order[0]] = len(sums) - 1 - index if 0 in flips else index
    shown[tuple(plane)] = truth[tuple(plane)]
    x, y, z = (round(value, 2) for value in volume.grid.position(np.argwhere(shown).mean(axis=0)))
    return x, y, z
