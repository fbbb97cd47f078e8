"""The rules of a MONAI bundle by which an adopted model sees scans; part of its plan.

After MONAI 1.6: Spacing, its intensity transforms, and the sliding window.  A scan is resampled linearly at places that
usually begin with its first voxel, and its intensities are changed before or after that by MONAI's own transforms.
Scores of windows are averaged; they, or the probabilities that they become, are resampled back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, Self

import monai.transforms
import numpy as np
import torch
from monai.data.utils import compute_shape_offset, zoom_affine
from numpy.typing import NDArray
from pydantic import Field, model_validator
from torch import Tensor

from IncrementalSegLib.preprocessing.rules import FIRST, AdoptedRules, Orders, Part, Sampled, Starts

_TOLERANCE = 1e-3  # mm by which a spacing may differ from the wanted one without resampling; MONAI's

Number = Annotated[float, Field(ge=-1e9, le=1e9)]
_Percent = Annotated[float, Field(ge=0, le=100)]


def _require_both(b_min: float | None, b_max: float | None) -> None:
    if (b_min is None) != (b_max is None):
        raise ValueError("b_min and b_max are given together")


class ScaleIntensityRange(Part):
    """Scale ``a_min .. a_max`` to ``b_min .. b_max``."""

    transform: Literal["ScaleIntensityRange"] = "ScaleIntensityRange"
    a_min: Number
    a_max: Number
    b_min: Number | None = None
    b_max: Number | None = None
    clip: bool = False

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.a_min >= self.a_max:
            raise ValueError(f"a_min {self.a_min} is not below a_max {self.a_max}")
        _require_both(self.b_min, self.b_max)
        return self


class ScaleIntensity(Part):
    """Scale the range of a scan, or of each channel, to ``minv .. maxv``."""

    transform: Literal["ScaleIntensity"] = "ScaleIntensity"
    minv: Number = 0.0
    maxv: Number = 1.0
    channel_wise: bool = False


class NormalizeIntensity(Part):
    """Subtract a number and divide by another; by default mean and standard deviation."""

    transform: Literal["NormalizeIntensity"] = "NormalizeIntensity"
    subtrahend: Number | tuple[Number, ...] | None = None
    divisor: Number | tuple[Number, ...] | None = None
    nonzero: bool = False
    channel_wise: bool = False

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if not self.channel_wise and any(isinstance(item, tuple) for item in (self.subtrahend, self.divisor)):
            raise ValueError("subtrahend and divisor are lists of channels only if channel_wise is true")
        return self

    def fault(self, channels: int) -> str:
        """Return what does not fit scans of so many channels; usually nothing."""
        counts = {len(item) for item in (self.subtrahend, self.divisor) if isinstance(item, tuple)}
        return "" if counts <= {channels} else f"NormalizeIntensity has numbers for {max(counts)} channels"


class ScaleIntensityRangePercentiles(Part):
    """Scale the range between two percentiles to ``b_min .. b_max``."""

    transform: Literal["ScaleIntensityRangePercentiles"] = "ScaleIntensityRangePercentiles"
    lower: _Percent
    upper: _Percent
    b_min: Number | None
    b_max: Number | None
    clip: bool = False
    relative: Literal[False] = False
    channel_wise: bool = False

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.lower >= self.upper:
            raise ValueError(f"lower {self.lower} is not below upper {self.upper}")
        _require_both(self.b_min, self.b_max)
        return self


IntensityTransform = Annotated[
    ScaleIntensityRange | ScaleIntensity | NormalizeIntensity | ScaleIntensityRangePercentiles,
    Field(discriminator="transform"),
]
"""A transform of MONAI by its name and arguments."""


class BundleRules(AdoptedRules):
    """The rules of a MONAI bundle."""

    before: tuple[IntensityTransform, ...] = ()
    """Changes of intensities before the resampling."""
    after: tuple[IntensityTransform, ...] = ()
    """Those after it."""
    foreground: bool = False
    """Windows cover the box around all samples above 0, and nothing is found outside of it."""
    overlap: tuple[Annotated[float, Field(ge=0, lt=1)], ...]
    """Overlap of neighbouring windows along D, H, W, as a share of a window."""
    blend: Literal["constant", "gaussian"] = "constant"
    """Weight of the samples of a window."""
    sigma: Annotated[float, Field(gt=0, le=10)] = 0.125
    """Standard deviation of a Gaussian weight, relative to a window."""
    padding: Literal["constant", "reflect", "replicate", "circular"] = "constant"
    """Surroundings of a scan that is smaller than a window."""
    fill: Number = 0.0
    """Value of a constant padding."""
    resampled: Literal["probabilities", "scores"] = "probabilities"
    """Maps that are resampled back."""
    nearest: bool = False
    """They are resampled by taking the nearest sample."""

    def fault(self, channels: int) -> str:
        """Return what does not fit scans of so many channels; usually nothing."""
        found = [item.fault(channels) for item in (*self.before, *self.after) if isinstance(item, NormalizeIntensity)]
        return next(filter(None, found), "")

    def spacing(self, own: float, wanted: float | None) -> float:
        """Return the spacing in mm to which an axis is resampled; its own where it hardly differs."""
        return own if wanted is None or abs(own - wanted) <= _TOLERANCE else wanted

    def size(self, count: int, own: float, target: float) -> int:
        """Return the samples along an axis of ``count`` samples after resampling between two spacings in mm."""
        return int(np.round((count - 1) * own / target + 1))

    def starts(
        self, directions: NDArray[np.float64], sizes: Sequence[int], before: Sequence[float], after: Sequence[float]
    ) -> Starts:
        """Return where the places at which a scan is resampled begin.

        MONAI begins with the first sample; but of an oblique scan whose directions are rounded, as in NIfTI, it finds
        no corner of the new grid, and lets both grids have one centre.
        """
        affine = np.eye(4)
        affine[:3, :3] = directions * before
        _, offset = compute_shape_offset(sizes, affine, zoom_affine(affine, after, diagonal=False))
        depth, height, width = np.linalg.solve(affine[:3, :3], offset).tolist()
        return depth, height, width

    def to_grid(self, before: Sequence[float], after: Sequence[float], starts: Starts = FIRST) -> Orders:
        """Return how a scan is resampled from its spacing to the model's, along D, H, W in mm."""
        axes = zip(before, after, starts, strict=True)
        depth, height, width = (Sampled(new / old, start=start) for old, new, start in axes)
        return depth, height, width

    def from_grid(self, before: Sequence[float], after: Sequence[float], starts: Starts = FIRST) -> Orders:
        """Return how scores are resampled from the model's spacing to the scan's, along D, H, W in mm."""
        axes = zip(before, after, starts, strict=True)
        depth, height, width = (Sampled(new / old, self.nearest, -start * new / old) for old, new, start in axes)
        return depth, height, width


def transformed(image: Tensor, transforms: Sequence[IntensityTransform]) -> Tensor:
    """Return ``(C, D, H, W)`` after some intensity transforms of MONAI."""
    for item in transforms:
        transform = getattr(monai.transforms, item.transform)(**item.model_dump(exclude={"transform"}))
        image = torch.as_tensor(transform(image)).as_subclass(Tensor)
    return image


def foreground(image: Tensor) -> tuple[slice, slice, slice]:
    """Return the box along D, H, W around all samples above 0 in any channel; everything where there is none."""
    seen = (image > 0).any(dim=0)
    box = []
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        found = seen.any(dim=others).nonzero().flatten()
        box.append(slice(int(found[0]), int(found[-1]) + 1) if len(found) else slice(0, seen.shape[axis]))
    return box[0], box[1], box[2]
