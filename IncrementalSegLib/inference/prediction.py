"""One form of prediction for all families of methods."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from IncrementalSegLib.types import StructureId


@dataclass(frozen=True)
class Prediction:
    """Result on a scan's own grid.

    Attributes:
        probability: Uuid -> ``(D, H, W)`` float16, 0..1; empty where it was not asked for.
        mask: Uuid -> ``(D, H, W)`` bool.
        uncertainty: ``(D, H, W)`` float32, 0 (certain) .. 1, or ``None`` where it was not asked for.
        exclusive: At most one structure can lie at a voxel.
    """

    probability: dict[StructureId, NDArray[np.float16]]
    mask: dict[StructureId, NDArray[np.bool_]]
    uncertainty: NDArray[np.float32] | None
    exclusive: bool
