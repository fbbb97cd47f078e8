"""Directions of structures: orthonormal, each made from a text embedding and never changed by a later one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from IncrementalSegLib.networks.text import SEEDED, TextEmbedding, seeded_direction

SHORTEST_RESIDUAL = 1e-3
"""Shortest residual of a unit vector that gives a direction; below it rounding decides."""


@dataclass(frozen=True)
class Direction:
    """The direction of one structure.

    Attributes:
        vector: ``(W,)`` float64 of unit length, orthogonal to the earlier ones.
        residual: Length of the embedding's component orthogonal to the earlier directions, 0..1.
        source: Where the direction comes from: that of the embedding, or ``seeded`` where the residual is too short.
    """

    vector: NDArray[np.float64]
    residual: float
    source: str


def next_direction(embedding: TextEmbedding, earlier: NDArray[np.float64]) -> Direction:
    """Return the component of an embedding that is orthogonal to the earlier directions, with unit length.

    Modified Gram-Schmidt, done twice, after which the result is orthogonal to working precision (Giraud et al.,
    *Numerische Mathematik* 2005).

    Args:
        embedding: Text embedding of a structure's name; where it lies in the span of the earlier directions, the
            name alone gives one.
        earlier: ``(K, W)``, orthonormal, ``K < W``.
    """
    rest = _residual(embedding.vector, earlier)
    residual = float(np.linalg.norm(rest))
    if residual >= SHORTEST_RESIDUAL:
        return Direction(rest / residual, residual, embedding.source)
    attempt, length = 0, 0.0
    while length < SHORTEST_RESIDUAL:
        rest = _residual(seeded_direction(embedding.name, attempt), earlier)
        attempt, length = attempt + 1, float(np.linalg.norm(rest))
    return Direction(rest / length, residual, SEEDED)


def _residual(vector: NDArray[np.float64], earlier: NDArray[np.float64]) -> NDArray[np.float64]:
    rest = vector.copy()
    for _ in range(2):
        for direction in earlier:
            rest -= (rest @ direction) * direction
    return rest
