"""Aggregates of numbers over the training scans, and the distance of a further scan from them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from IncrementalSegLib.types import Json

Numbers: TypeAlias = NDArray[np.float64]

_CONFIDENCE = 0.98  # share of a kind's further scans within the limit
_SPREAD, _SPREAD_SCANS = 0.25, 4  # deviation of the logarithm of distances within a kind, and its weight in scans
_SINGLE = 5.0  # limit of one training scan; there is none to leave out
_TYPICAL_SCANS = 4
_FEW_SCANS = 4  # that many scans widen the limit by a factor of 1.4, one by 4, twenty by 1.02


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
class Shape:
    """Mean and covariance of contrast, texture and layout together, each with the same weight.

    Attributes:
        mean: ``(P,)`` in typical deviations.
        covariance: ``(P, P)``, drawn to a typical one where there are few scans.
        limit: Distance that counts as 1.
    """

    mean: Numbers
    covariance: Numbers
    limit: float

    @classmethod
    def of(cls, rows: Numbers) -> Shape:
        """Measure ``rows`` (scans, numbers); each scan is compared with the others to find the limit."""
        left_out = [
            cls(*_covariance(np.delete(rows, row, axis=0)), 1.0).distance(rows[row])
            for row in range(len(rows))
            if len(rows) > 1
        ]
        return cls(*_covariance(rows), _expected(left_out) if left_out else _SINGLE)

    def distance(self, values: Numbers) -> float:
        """Return how far one scan is, 0 or more (Mahalanobis, per number)."""
        apart = values - self.mean
        square = float(apart @ np.linalg.solve(self.covariance, apart)) / len(apart)
        return math.sqrt(max(0.0, square)) / self.limit

    def to_json(self) -> Json:
        """Return the shape as a JSON object; of the covariance one half."""
        half = self.covariance[np.tril_indices(len(self.mean))]
        return {"mean": rounded(self.mean), "covariance": rounded(half), "limit": round(self.limit, 4)}

    @classmethod
    def from_json(cls, data: Json) -> Shape:
        """Rebuild a shape from :meth:`to_json`.

        Raises:
            ValueError: Mean and covariance do not belong together.
        """
        mean = np.array(data["mean"], dtype=np.float64)
        if 2 * len(data["covariance"]) != len(mean) * (len(mean) + 1):  # before a matrix of that size is made
            raise ValueError("mean and covariance differ in size")
        half = np.zeros((len(mean), len(mean)))
        half[np.tril_indices(len(mean))] = data["covariance"]
        return cls(mean, half + np.tril(half, -1).T, float(data["limit"]))


def _moments(rows: Numbers, typical: float) -> tuple[Numbers, Numbers]:
    scans = len(rows)
    variance = (scans * rows.var(axis=0) + _TYPICAL_SCANS * typical**2) / (scans + _TYPICAL_SCANS)
    return rows.mean(axis=0), np.sqrt(variance)


def _standardised(values: Numbers, mean: Numbers, deviation: Numbers) -> float:
    return float(np.sqrt(np.mean(((values - mean) / deviation) ** 2)))


def _covariance(rows: Numbers) -> tuple[Numbers, Numbers]:
    """Return mean and covariance of weighed numbers; few scans are drawn to deviations of 1 without correlation."""
    scans, count = rows.shape
    apart = rows - rows.mean(axis=0)
    return rows.mean(axis=0), (apart.T @ apart + _TYPICAL_SCANS * np.eye(count)) / (scans + _TYPICAL_SCANS)


def _expected(distances: Sequence[float]) -> float:
    """Return the distance that a further scan exceeds with the probability ``1 - _CONFIDENCE``.

    The logarithms of the distances are taken for normal; the spread of few is drawn to a typical one.
    """
    logs = np.log(np.maximum(distances, 1e-3))
    freedom = _SPREAD_SCANS + len(logs) - 1
    variance = (_SPREAD_SCANS * _SPREAD**2 + ((logs - logs.mean()) ** 2).sum()) / freedom
    further = float(stdtrit(freedom, _CONFIDENCE)) * math.sqrt(variance * (1 + 1 / len(logs)))
    return math.exp(float(logs.mean()) + further)


def rounded(values: Numbers) -> list[float]:
    """Return the values with five digits, for JSON."""
    return [float(f"{value:.5g}") for value in values]
