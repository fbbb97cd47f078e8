"""From a scan with masks to the one slice that a person would look at, in the model's orientation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from IncrementalSegLib.evaluation.content import SliceRow
from IncrementalSegLib.preprocessing.geometry import turn
from IncrementalSegLib.preprocessing.plan import Plan
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
    values = torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))
    return turn(values, order, flips).numpy(), spacing
