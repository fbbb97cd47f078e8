"""The rules by which an adopted model sees scans, part of its plan: their base, and those of nnU-Net.

nnU-Net's are those of version 2.8 (Isensee et al., Nature Methods 2021): DefaultPreprocessor, its normalisation
schemes, the default resampling and the sliding window.  A scan is cropped to its non-zero voxels, normalised channel by
channel, resampled by splines, and seen in evenly spaced windows, of which scores, not probabilities, are averaged and
resampled back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field


@dataclass(frozen=True)
class Sampled:
    """Resampling without smoothing at given places.

    Attributes:
        step: Samples of the image from one place to the next.
        nearest: Take the nearest sample, instead of interpolating linearly.
        start: The first place, in samples of the image.
    """

    step: float
    nearest: bool = False
    start: float = 0.0


Order: TypeAlias = int | Sampled | None
"""Resampling of an axis: by a spline of an order, or at places; ``None``: linear, smoothed where it shrinks."""

Orders = tuple[Order, Order, Order]
"""Resampling along D, H, W."""

Starts = tuple[float, float, float]
"""First place of a resampled scan along D, H, W, in samples of the scan."""

FIRST: Starts = (0.0, 0.0, 0.0)
"""Resampling that begins with the first sample, or that has no such place."""

Scheme: TypeAlias = Literal["zscore", "ct", "rescale", "rgb", "none"]

_ANISOTROPIC = 3.0  # above this ratio of spacings the coarsest axis is resampled apart
_Order = Annotated[int, Field(ge=0, le=5)]


class Part(BaseModel):
    """Base of all rules."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Intensity(Part):
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


class Resampling(Part):
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


class AdoptedRules(Part):
    """Base of the rules of one adopted model, beside the grid and the patch of its plan."""

    cropped: ClassVar[bool] = False
    """Whether a scan is cropped to its non-zero voxels."""
    mirror: tuple[int, ...] = ()
    """Axes among D, H, W along which a scan may be mirrored for test-time augmentation."""

    def fault(self, channels: int) -> str:
        """Return what does not fit scans of so many channels; usually nothing."""
        return ""

    def spacing(self, own: float, wanted: float | None) -> float:
        """Return the spacing in mm to which an axis is resampled; ``None`` is wanted where it may have its own."""
        return own if wanted is None else wanted

    def size(self, count: int, own: float, target: float) -> int:
        """Return the samples along an axis of ``count`` samples after resampling between two spacings in mm."""
        return max(1, round(own / target * count))

    def starts(
        self, directions: NDArray[np.float64], sizes: Sequence[int], before: Sequence[float], after: Sequence[float]
    ) -> Starts:
        """Return where the places at which a scan is resampled begin.

        Args:
            directions: ``(3, 3)``, columns of unit length along D, H, W of the scan.
            sizes: Samples of the scan along these axes.
            before: Its spacing in mm.
            after: That of the resampled scan.
        """
        return FIRST

    def to_grid(self, before: Sequence[float], after: Sequence[float], starts: Starts = FIRST) -> Orders:
        """Return how a scan is resampled from its spacing to the model's, along D, H, W in mm."""
        raise NotImplementedError

    def from_grid(self, before: Sequence[float], after: Sequence[float], starts: Starts = FIRST) -> Orders:
        """Return how scores are resampled from the model's spacing to the scan's, along D, H, W in mm."""
        raise NotImplementedError


class Rules(AdoptedRules):
    """The rules of nnU-Net."""

    cropped: ClassVar[bool] = True

    intensities: tuple[Intensity, ...]
    """Normalisation of each channel."""
    scans: Resampling
    """Resampling of scans to the model's grid."""
    scores: Resampling
    """Resampling of scores to the scan's own grid."""

    def fault(self, channels: int) -> str:
        """Return what does not fit scans of so many channels; usually nothing."""
        return "" if len(self.intensities) == channels else "it does not normalise each of its channels"

    def to_grid(self, before: Sequence[float], after: Sequence[float], starts: Starts = FIRST) -> Orders:
        """Return how a scan is resampled from its spacing to the model's, along D, H, W in mm."""
        return self.scans.orders(before, after)

    def from_grid(self, before: Sequence[float], after: Sequence[float], starts: Starts = FIRST) -> Orders:
        """Return how scores are resampled from the model's spacing to the scan's, along D, H, W in mm."""
        return self.scores.orders(before, after)
