"""Strokes on the model's grid, and a prediction that follows them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from IncrementalSegLib.correction.propagation import Painted, propagate
from IncrementalSegLib.correction.strokes import Strokes
from IncrementalSegLib.engine.ready import ReadyModel
from IncrementalSegLib.inference.prediction import Prediction
from IncrementalSegLib.preprocessing.pipeline import forward_mask
from IncrementalSegLib.progress import UNTOLD, Share
from IncrementalSegLib.types import StructureId
from IncrementalSegLib.volumes.volume import Volume


@dataclass(frozen=True)
class PlacedStrokes:
    """Strokes on the model's grid.

    Attributes:
        structures: The structures of the rows: those asked for, and all that exclude one of these.
        painted: ``(K, D, H, W)`` bool, True under a stroke of the structure.
        background: ``(D, H, W)`` bool, True under a stroke of the background.
        spacing: Millimetres along D, H, W.
        exclusive: For each row, whether the structure is one of those that exclude each other.
    """

    structures: tuple[StructureId, ...]
    painted: Painted
    background: Painted
    spacing: tuple[float, float, float]
    exclusive: tuple[bool, ...]

    @classmethod
    def of(cls, strokes: Strokes, ready: ReadyModel, volume: Volume) -> PlacedStrokes:
        """Bring strokes to the model's grid.

        Args:
            strokes: On the grid of the scan, of all structures asked for.
            ready: The model.
            volume: The scan.
        """
        plan, segmenter = ready.loaded.plan, ready.loaded.segmenter
        order, _ = plan.turning(volume.grid)
        one, two, three = (wanted or volume.grid.steps[axis] for wanted, axis in zip(plan.spacing, order, strict=True))
        rows = segmenter.deciding(ready.structures.ids)
        painted = np.stack([forward_mask(strokes.painted[item], volume, plan).bool().numpy() for item in rows])
        background = forward_mask(strokes.background, volume, plan).bool().numpy()
        exclusive = segmenter.excluding(rows)
        return cls(rows, painted, background & ~painted.any(axis=0), (one, two, three), exclusive)

    @property
    def known(self) -> Painted:
        """``(D, H, W)`` bool, True under any stroke."""
        return np.asarray(self.background | self.painted.any(axis=0))

    def spread(self, image: Tensor, maps: Tensor) -> Tensor:
        """Return probabilities ``(K, D, H, W)`` that follow the strokes; for ``revise`` of a prediction.

        Args:
            image: ``(C, D, H, W)``, the scan as the network sees it.
            maps: ``(K, D, H, W)``, the probability of each structure.
        """
        found = propagate(
            image.float().numpy(), self.spacing, maps.numpy(), self.painted, self.background, self.exclusive
        )
        return torch.from_numpy(found)


def predict_with(
    strokes: Strokes, ready: ReadyModel, volume: Volume, name: str, progress: Share = UNTOLD
) -> Prediction:
    """Predict a scan with strokes, which hold in the masks.

    Args:
        strokes: On the grid of the scan.
        ready: The model.
        volume: The scan.
        name: Name of the scan.
        progress: Receives the share done.
    """
    spread = PlacedStrokes.of(strokes, ready, volume).spread
    prediction = ready.predict(volume, name, revise=spread, progress=progress)
    return replace(prediction, mask=strokes.imposed(prediction.mask))
