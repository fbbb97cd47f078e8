"""One form of prediction for all families of methods."""

from __future__ import annotations

from dataclasses import dataclass, field

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
        similarity: Uuid -> ``(D, H, W)`` float32, the cosine with its direction; empty where it was not asked for.
        unknown: ``(D, H, W)`` bool, voxels similar to nothing that the model knows, or ``None``.
        aleatoric: ``(D, H, W)`` float32, the part of ``uncertainty`` that lies in the scan, or ``None``.
        exclusive: The structures of which at most one can lie at a voxel.
    """

    probability: dict[StructureId, NDArray[np.float16]]
    mask: dict[StructureId, NDArray[np.bool_]]
    uncertainty: NDArray[np.float32] | None
    exclusive: frozenset[StructureId]
    similarity: dict[StructureId, NDArray[np.float32]] = field(default_factory=dict)
    unknown: NDArray[np.bool_] | None = None
    aleatoric: NDArray[np.float32] | None = None

    @property
    def epistemic(self) -> NDArray[np.float32] | None:
        """``(D, H, W)`` float32, the rest of ``uncertainty``, which more training scans could remove, or ``None``."""
        if self.uncertainty is None or self.aleatoric is None:
            return None
        rest: NDArray[np.float32] = np.maximum(self.uncertainty - self.aleatoric, np.float32(0))
        return rest
