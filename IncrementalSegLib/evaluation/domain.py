"""How far a scan is from the scans that taught: numbers that need no network and no old scan.

The numbers are taken from the scan on the model's grid, not from the network's features: every later step
would move those, and the scans that could be encoded again are gone.  What is compared:

- contrast: quantiles of the normalised intensities (another weighting or modality, inverted values);
- texture: how much voxels 1, 2, 4 and 8 apart differ along each axis (resolution, noise, a wrong spacing, a turn);
- layout: means over a 4 x 4 x 4 division of the scan (another body part, a flip, a turn);
- intensity: percentiles before normalisation; spacing and extent in mm.

A distance of 1 is as far as the scans that taught are from each other, with an allowance for few scans.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from IncrementalSegLib.types import Json

Closeness = Literal["near", "apart", "far"]
Numbers = NDArray[np.float64]

NEAR, FAR = 1.0, 1.5
"""Up to ``NEAR`` a scan is near, above ``FAR`` it is far.  Chosen by measurement: docs/domains.md."""

_QUANTILES = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
_PERCENTILES = (1, 25, 50, 75, 99)
_LAGS = (1, 2, 4, 8)
_DIVISION = 4
_VOXELS = 2_000_000  # of a larger scan every n-th slice is enough
_TYPICAL = {"contrast": 0.1, "texture": 0.1, "layout": 0.25, "intensity": 0.35}
"""Deviation within one kind of scans, to which the deviations of few scans are drawn; measured on five sets."""
_TYPICAL_SCANS = 4
_FEW_SCANS = 4  # that many scans widen the limit by a factor of 1.4, one by 4, twenty by 1.02
_SPACING_STEP, _EXTENT_STEP = math.log(1.25), math.log(1.5)
"""A spacing 1.25 times outside the range of those that taught is at distance 1, an extent 1.5 times outside."""


@dataclass(frozen=True)
class Traits:
    """What one scan looks like.

    Attributes:
        looks: ``contrast``, ``texture`` and ``layout`` of the normalised scan -> numbers.
        intensity: Percentiles 1, 25, 50, 75, 99 of each channel before normalisation.
        spacing: Millimetres along the model's D, H, W.
        extent: Field of view in mm along the same axes.
    """

    looks: dict[str, Numbers]
    intensity: Numbers
    spacing: tuple[float, ...]
    extent: tuple[float, ...]


@dataclass(frozen=True)
class Distance:
    """How far a scan is; 1 is as far as the scans that taught are from each other.

    Attributes:
        contrast: Of the normalised intensities.
        texture: Of the differences between neighbours.
        layout: Of what lies where.
        intensity: Of the intensities before normalisation; by itself harmless, because every scan is normalised.
        spacing: Of the millimetres between samples.
        extent: Of the field of view.
    """

    contrast: float
    texture: float
    layout: float
    intensity: float
    spacing: float
    extent: float

    @property
    def features(self) -> float:
        """The largest of contrast, texture and layout."""
        return max(self.contrast, self.texture, self.layout)

    @property
    def largest(self) -> float:
        """What decides whether a scan is far: all but the intensity."""
        return max(self.features, self.spacing, self.extent)


@dataclass(frozen=True)
class Spread:
    """Mean and deviation of some numbers over scans, and how far the scans themselves lie from it.

    Attributes:
        mean: Mean over the scans.
        deviation: Standard deviation, drawn to a typical one where there are few scans.
        limit: Distance that counts as 1.
    """

    mean: Numbers
    deviation: Numbers
    limit: float

    @classmethod
    def of(cls, rows: Numbers, typical: float) -> Spread:
        """Measure ``rows`` (scans, numbers); each scan is compared with the others to find the limit."""
        apart = [1.0]
        if len(rows) > 1:
            others = [_moments(np.delete(rows, row, axis=0), typical) for row in range(len(rows))]
            apart += [_standardised(row, *moments) for row, moments in zip(rows, others, strict=True)]
        return cls(*_moments(rows, typical), max(apart) * math.sqrt(1 + (_FEW_SCANS / len(rows)) ** 2))

    def distance(self, values: Numbers) -> float:
        """Return how far one scan is, 0 or more."""
        return _standardised(values, self.mean, self.deviation) / self.limit


@dataclass(frozen=True)
class Domain:
    """The scans that taught, as aggregates.

    Attributes:
        scans: Their number.
        spreads: ``contrast``, ``texture``, ``layout``, ``intensity`` -> spread over the scans.
        unit: Intensities are compared on a logarithmic scale beyond this value.
        spacing: Least and greatest millimetres along the model's D, H, W.
        extent: Least and greatest field of view along the same axes.
    """

    scans: int
    spreads: dict[str, Spread]
    unit: float
    spacing: tuple[tuple[float, float], ...]
    extent: tuple[tuple[float, float], ...]

    @classmethod
    def of(cls, scans: Sequence[Traits]) -> Domain:
        """Describe scans that teach together.

        Args:
            scans: At least one.
        """
        channels = np.array([scan.intensity.reshape(-1, len(_PERCENTILES)) for scan in scans])
        unit = 0.05 * float(np.median(channels.max(axis=2) - channels.min(axis=2))) or 1.0
        rows = {name: np.array([scan.looks[name] for scan in scans]) for name in scans[0].looks}
        rows["intensity"] = np.array([_compressed(scan.intensity, unit) for scan in scans])
        return cls(
            len(scans),
            {name: Spread.of(values, _TYPICAL[name]) for name, values in rows.items()},
            unit,
            _ranges([scan.spacing for scan in scans]),
            _ranges([scan.extent for scan in scans]),
        )

    def distance(self, scan: Traits) -> Distance:
        """Return how far a scan is from those that taught."""
        looks = {name: self.spreads[name].distance(values) for name, values in scan.looks.items()}
        return Distance(
            **looks,
            intensity=self.spreads["intensity"].distance(_compressed(scan.intensity, self.unit)),
            spacing=_outside(scan.spacing, self.spacing, _SPACING_STEP),
            extent=_outside(scan.extent, self.extent, _EXTENT_STEP),
        )

    def to_json(self) -> Json:
        """Return the domain as a JSON object."""
        spreads = {
            name: {"mean": _rounded(item.mean), "deviation": _rounded(item.deviation), "limit": round(item.limit, 4)}
            for name, item in self.spreads.items()
        }
        ranges = {"spacing": [list(pair) for pair in self.spacing], "extent": [list(pair) for pair in self.extent]}
        return {"scans": self.scans, "spreads": spreads, "unit": self.unit, **ranges}

    @classmethod
    def from_json(cls, data: Json) -> Domain:
        """Rebuild a domain from :meth:`to_json`."""
        spreads = {
            name: Spread(np.array(item["mean"]), np.array(item["deviation"]), float(item["limit"]))
            for name, item in data["spreads"].items()
        }
        spacing, extent = (tuple((float(low), float(high)) for low, high in data[key]) for key in ("spacing", "extent"))
        return cls(int(data["scans"]), spreads, float(data["unit"]), spacing, extent)


def word(distance: float) -> Closeness:
    """Return a distance as a word."""
    return "near" if distance <= NEAR else "apart" if distance <= FAR else "far"


def traits(
    image: Tensor,
    raw: NDArray[np.generic],
    spacing: Sequence[float],
    extent: Sequence[float],
    axes: Sequence[int] = (0, 1, 2),
) -> Traits:
    """Measure one scan.

    Args:
        image: ``(C, D, H, W)``, normalised, on the model's grid.
        raw: ``(C, ...)``, the scan's own samples; NaN and infinite ones are left out.
        spacing: Millimetres of the scan along the model's D, H, W.
        extent: Field of view in mm along the same axes.
        axes: Which of D, H, W the network sees.
    """
    stride = max(1, math.ceil(image[0].numel() / _VOXELS))
    thinned = image[:, :: min(stride, image.shape[1])].float()
    values = thinned.flatten(1)[:, :: max(1, thinned[0].numel() // 100_000)]
    contrast = torch.quantile(values, torch.tensor(_QUANTILES), dim=1).T
    texture = [_roughness(image, thinned, axis, lag, stride) for axis in axes for lag in _LAGS]
    layout = F.adaptive_avg_pool3d(thinned, _DIVISION)
    looks = {"contrast": contrast, "texture": torch.stack(texture, dim=1), "layout": layout}
    return Traits(
        {name: item.flatten().double().numpy() for name, item in looks.items()},
        np.concatenate([_percentiles(channel) for channel in raw]),
        tuple(spacing),
        tuple(extent),
    )


def _roughness(image: Tensor, thinned: Tensor, axis: int, lag: int, stride: int) -> Tensor:
    """Return the logarithm of the mean difference between voxels ``lag`` apart, per channel."""
    source = thinned if axis else image[:, :, :: min(stride, image.shape[2])].float()
    size = source.shape[axis + 1]
    lag = min(lag, size - 1)
    first, second = source.narrow(axis + 1, 0, size - lag), source.narrow(axis + 1, lag, size - lag)
    return ((second - first).abs().mean(dim=(1, 2, 3)) + 1e-3).log()  # a constant scan has a logarithm too


def _percentiles(channel: NDArray[np.generic]) -> Numbers:
    values = channel.ravel()[:: max(1, channel.size // 100_000)].astype(np.float64)
    values = values[np.isfinite(values)]
    return np.percentile(values, _PERCENTILES) if values.size else np.zeros(len(_PERCENTILES))


def _moments(rows: Numbers, typical: float) -> tuple[Numbers, Numbers]:
    scans = len(rows)
    variance = (scans * rows.var(axis=0) + _TYPICAL_SCANS * typical**2) / (scans + _TYPICAL_SCANS)
    return rows.mean(axis=0), np.sqrt(variance)


def _standardised(values: Numbers, mean: Numbers, deviation: Numbers) -> float:
    return float(np.sqrt(np.mean(((values - mean) / deviation) ** 2)))


def _compressed(intensity: Numbers, unit: float) -> Numbers:
    return np.asarray(np.arcsinh(intensity / unit))


def _ranges(rows: Sequence[Sequence[float]]) -> tuple[tuple[float, float], ...]:
    return tuple((float(min(column)), float(max(column))) for column in zip(*rows, strict=True))


def _outside(values: Sequence[float], ranges: Sequence[tuple[float, float]], step: float) -> float:
    """Return by how many steps, on a logarithmic scale, the worst value lies outside its range."""
    pairs = zip(values, ranges, strict=True)
    return max(max(0.0, math.log(low / value), math.log(value / high)) for value, (low, high) in pairs) / step


def _rounded(values: Numbers) -> list[float]:
    return [float(f"{value:.5g}") for value in values]
