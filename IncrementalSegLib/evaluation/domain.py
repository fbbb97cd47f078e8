"""Distance of a scan from the training scans, in numbers that need no network and no old scan.

The numbers are taken from the scan on the model's grid, not from the network's features: every later step
would move those, and the scans that could be encoded again are gone.  What is compared:

- contrast: quantiles of the normalised intensities (another weighting or modality, inverted values);
- texture: mean differences of voxels 1, 2, 4 and 8 apart along each axis (resolution, noise, a wrong spacing, a turn);
- layout: means over a 4 x 4 division of the mean slice, in 3-D of both halves (another body part, a flip, a turn);
- intensity: percentiles before normalisation; spacing and extent in mm.

The three looks are compared together, with their covariance over the training scans; the limit is what a further
scan of their kind exceeds once in fifty times, estimated by leaving out each in turn.  That limit is distance 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from IncrementalSegLib.evaluation.spread import Numbers, Shape, Spread, rounded
from IncrementalSegLib.types import Json

Closeness = Literal["similar", "somewhat unlike", "unlike"]

NEAR, FAR = 1.0, 1.5
"""Up to ``NEAR`` a scan is similar, above ``FAR`` unlike; between them somewhat unlike.  Measured: docs/domains.md."""

PERCENTILES = (1, 25, 50, 75, 99)
"""Percentiles of the intensities that a scan is described by."""

_LOOKS = ("contrast", "texture", "layout")
_TYPICAL = {"contrast": 0.1, "texture": 0.1, "layout": 0.2, "intensity": 0.35}
"""Deviation within one kind of scans, to which the deviations of few scans are drawn; measured on five sets."""
_SPACING_STEP, _EXTENT_STEP = math.log(1.25), math.log(1.5)
"""A spacing 1.25 times outside the range of the training scans is at distance 1, an extent 1.5 times outside."""


@dataclass(frozen=True)
class ScanFeatures:
    """Features of one scan, as :func:`IncrementalSegLib.engine.domain.measure` takes them.

    Attributes:
        looks: ``contrast``, ``texture`` and ``layout`` of the normalised scan -> numbers.
        intensity: Percentiles 1, 25, 50, 75, 99 of each channel before normalisation.
        spacing: Millimetres along the axes that the network sees.
        extent: Field of view in mm along the same axes.
    """

    looks: dict[str, Numbers]
    intensity: Numbers
    spacing: tuple[float, ...]
    extent: tuple[float, ...]


@dataclass(frozen=True)
class Distance:
    """Distance of a scan; 1 is the limit of what is expected of a further scan of the same kind.

    Attributes:
        features: Of contrast, texture and layout together.
        contrast: Of the normalised intensities.
        texture: Of the differences between neighbours.
        layout: Of what lies where.
        intensity: Of the intensities before normalisation; by itself harmless, because every scan is normalised.
        spacing: Of the millimetres between samples.
        extent: Of the field of view.
    """

    features: float
    contrast: float
    texture: float
    layout: float
    intensity: float
    spacing: float
    extent: float

    @property
    def largest(self) -> float:
        """The largest distance apart from the intensity, which decides nothing."""
        return max(self.features, self.spacing, self.extent)


@dataclass(frozen=True)
class Domain:
    """Training scans, as aggregates.

    Attributes:
        scans: Their number.
        shape: Contrast, texture and layout together, which decide.
        spreads: ``contrast``, ``texture``, ``layout``, ``intensity`` -> spread over the scans, to say what differs.
        unit: Intensities are compared on a logarithmic scale beyond this value.
        spacing: Least and greatest millimetres along the axes that the network sees.
        extent: Least and greatest field of view along the same axes.
    """

    scans: int
    shape: Shape
    spreads: dict[str, Spread]
    unit: float
    spacing: tuple[tuple[float, float], ...]
    extent: tuple[tuple[float, float], ...]

    @classmethod
    def of(cls, scans: Sequence[ScanFeatures]) -> Domain:
        """Describe the scans of one group.

        Args:
            scans: At least one.
        """
        channels = np.array([scan.intensity.reshape(-1, len(PERCENTILES)) for scan in scans])
        unit = 0.05 * float(np.median(channels.max(axis=2) - channels.min(axis=2))) or 1.0
        rows = {name: np.array([scan.looks[name] for scan in scans]) for name in scans[0].looks}
        rows["intensity"] = np.array([_compressed(scan.intensity, unit) for scan in scans])
        return cls(
            scans=len(scans),
            shape=Shape.of(np.array([_weighed(scan.looks) for scan in scans])),
            spreads={name: Spread.of(values, _TYPICAL[name]) for name, values in rows.items()},
            unit=unit,
            spacing=_ranges([scan.spacing for scan in scans]),
            extent=_ranges([scan.extent for scan in scans]),
        )

    def distance(self, scan: ScanFeatures) -> Distance:
        """Return the distance of a scan from the training scans."""
        looks = {name: self.spreads[name].distance(values) for name, values in scan.looks.items()}
        return Distance(
            features=self.shape.distance(_weighed(scan.looks)),
            **looks,
            intensity=self.spreads["intensity"].distance(_compressed(scan.intensity, self.unit)),
            spacing=_outside(scan.spacing, self.spacing, _SPACING_STEP, self.scans),
            extent=_outside(scan.extent, self.extent, _EXTENT_STEP, self.scans),
        )

    def to_json(self) -> Json:
        """Return the domain as a JSON object."""
        spreads = {
            name: {"mean": rounded(item.mean), "deviation": rounded(item.deviation), "limit": round(item.limit, 4)}
            for name, item in self.spreads.items()
        }
        ranges = {"spacing": [list(pair) for pair in self.spacing], "extent": [list(pair) for pair in self.extent]}
        return {"scans": self.scans, "shape": self.shape.to_json(), "spreads": spreads, "unit": self.unit, **ranges}

    @classmethod
    def from_json(cls, data: Json) -> Domain:
        """Rebuild a domain from :meth:`to_json`."""
        spreads = {
            name: Spread(np.array(item["mean"]), np.array(item["deviation"]), float(item["limit"]))
            for name, item in data["spreads"].items()
        }
        spacing, extent = (tuple((float(low), float(high)) for low, high in data[key]) for key in ("spacing", "extent"))
        shape = Shape.from_json(data["shape"])
        return cls(
            scans=int(data["scans"]),
            shape=shape,
            spreads=spreads,
            unit=float(data["unit"]),
            spacing=spacing,
            extent=extent,
        )


def word(distance: float) -> Closeness:
    """Return a distance as a word."""
    return "similar" if distance <= NEAR else "somewhat unlike" if distance <= FAR else "unlike"


def _compressed(intensity: Numbers, unit: float) -> Numbers:
    return np.asarray(np.arcsinh(intensity / unit))


def _ranges(rows: Sequence[Sequence[float]]) -> tuple[tuple[float, float], ...]:
    return tuple((float(min(column)), float(max(column))) for column in zip(*rows, strict=True))


def _outside(values: Sequence[float], ranges: Sequence[tuple[float, float]], step: float, scans: int) -> float:
    """Return by how many steps, on a logarithmic scale, the worst value lies outside its range.

    The range of few scans is too narrow, so that their steps are larger.
    """
    pairs = zip(values, ranges, strict=True)
    worst = max(max(0.0, math.log(low / value), math.log(value / high)) for value, (low, high) in pairs)
    return worst / (step * (1 + 1 / scans))


def _weighed(looks: dict[str, Numbers]) -> Numbers:
    """Return the numbers of all looks in typical deviations; the looks count alike, however many numbers they have."""
    most = len(looks["layout"])
    return np.concatenate([looks[name] / (_TYPICAL[name] * math.sqrt(len(looks[name]) / most)) for name in _LOOKS])
