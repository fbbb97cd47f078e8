"""The rules of nnU-Net by which an adopted model sees scans; part of its plan.

After nnU-Net 2.8 (Isensee et al., Nature Methods 2021): DefaultPreprocessor, its normalisation schemes, the default
resampling and the sliding window.  A scan is cropped to its non-zero voxels, normalised channel by channel, resampled
by splines, and seen in evenly spaced windows, of which scores, not probabilities, are averaged and resampled back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, TypeAlias

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

Orders = tuple[int | None, int | None, int | None]
"""Spline order of the resampling along D, H, W; ``None``: linear, smoothed where an axis shrinks."""

Scheme: TypeAlias = Literal["zscore", "ct", "rescale", "rgb", "none"]

_ANISOTROPIC = 3.0  # above this ratio of spacings the coarsest axis is resampled apart
_Order = Annotated[int, Field(ge=0, le=5)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Intensity(_Part):
    """Normalisation of one channel."""

    scheme: Scheme
    """``zscore``: mean 0 and standard deviation 1; ``ct``: clipped, then by the numbers below; ``rescale``: to 0..1;
    ``rgb``: divided by 255; ``none``."""
    masked: bool = False
    """The z-score is that of the voxels inside the scan's non-zero region, and the others stay as they are."""
    mean: float = 0.0
    """Value that ``ct`` makes 0."""
    deviation: Annotated[float, Field(ge=0)] = 1.0
    """Difference that ``ct`` makes 1."""
    low: float = 0.0
    """Least value of ``ct``; smaller ones are clipped to it."""
    high: float = 0.0
    """Greatest value of ``ct``."""


class Resampling(_Part):
    """Spline orders of a resampling."""

    order: _Order
    """Order along all axes, or in the plane."""
    order_z: _Order = 0
    """Order along the coarsest axis where it is resampled apart."""
    separate: bool | None = None
    """Whether the coarsest axis is resampled apart; ``None``: where a spacing is over three times another."""

    def orders(self, before: Sequence[float], after: Sequence[float]) -> Orders:
        """Return the order along D, H, W between two spacings in mm."""
        apart = self._apart(before, after)
        depth, height, width = (self.order_z if axis == apart else self.order for axis in range(3))
        return depth, height, width

    def _apart(self, before: Sequence[float], after: Sequence[float]) -> int | None:
        """Return the axis that is resampled apart: the one that is coarser than both others."""
        if self.separate is False:
            return None
        candidates = (before,) if self.separate else (before, after)
        for spacing in candidates:
            if self.separate or max(spacing) / min(spacing) > _ANISOTROPIC:
                coarsest = np.flatnonzero(max(spacing) / np.array(spacing) == 1)
                return int(coarsest[0]) if len(coarsest) == 1 else None
        return None


class Rules(_Part):
    """The rules of one adopted model, beside the grid and the patch of its plan."""

    intensities: tuple[Intensity, ...]
    """Normalisation of each channel."""
    scans: Resampling
    """Resampling of scans to the model's grid."""
    scores: Resampling
    """Resampling of scores to the scan's own grid."""
    mirror: tuple[int, ...] = ()
    """Axes among D, H, W along which a scan may be mirrored for test-time augmentation."""
