"""Greedy maximum set coverage: the few items that represent a set best, in the order of their worth."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.floating]

_ALIKE = 1e-6  # relative distance from the mean that may be rounding


@dataclass(frozen=True)
class Coverage:
    """The picks and what each is worth.

    Attributes:
        order: Row of each pick, best first; cutting the tail leaves the best choice of that length.
        gains: Fraction of the set that each pick adds, 0..1.
        covered: Fraction covered after each pick, 0..1: the coverage curve.
    """

    order: tuple[int, ...]
    gains: tuple[float, ...]
    covered: tuple[float, ...]


def cover_by_similarity(
    similarity: Matrix, keep: int, pinned: Sequence[int] = (), banned: Collection[int] = ()
) -> Coverage:
    """Pick rows that maximise F(S) = Σ_n max_{s in S} similarity[s, n] greedily (facility location).

    F is submodular, so the value is at least 1 - 1/e of the best possible (Ozdemir 2018, Sec. 2.2, after
    Yang et al. 2017).  A negative similarity covers nothing.

    Args:
        similarity: ``(K, N)`` of K candidates to the N items of the set, at most 1.
        keep: Number of picks; fewer where fewer candidates are left.
        pinned: Rows picked before all others, in this order, even beyond ``keep``.
        banned: Rows never picked.

    Raises:
        ValueError: A row is pinned and banned.
    """
    if set(pinned) & set(banned):
        raise ValueError(f"rows {sorted(set(pinned) & set(banned))} are pinned and banned")
    values = np.ascontiguousarray(similarity, dtype=np.float64)
    items = values.shape[1]
    covered = np.zeros(items)
    free = np.ones(values.shape[0], dtype=bool)
    free[list(banned)] = False
    forced = list(dict.fromkeys(pinned))
    wanted = max(len(forced), min(keep, int(free.sum())))
    order: list[int] = []
    curve: list[float] = []
    while len(order) < wanted:
        pick = forced[len(order)] if len(order) < len(forced) else _best(values, covered, free)
        free[pick] = False
        np.maximum(covered, values[pick], out=covered)
        order.append(pick)
        curve.append(float(covered.sum()) / max(items, 1))
    gains = [after - before for before, after in zip([0.0, *curve[:-1]], curve, strict=True)] if curve else []
    return Coverage(tuple(order), tuple(gains), tuple(curve))


def cover_by_distance(distance: Matrix, keep: int, pinned: Sequence[int] = ()) -> Coverage:
    """Pick rows that minimise Σ_n min_{s in S} distance[s, n] greedily.

    With m the largest distance this is coverage by the similarity 1 - d / m, so the first pick is the
    medoid among the candidates (Ozdemir 2018, Eq. 3).

    Args:
        distance: ``(K, N)``, not negative.
        keep: See :func:`cover_by_similarity`.
        pinned: See :func:`cover_by_similarity`.
    """
    values = np.asarray(distance, dtype=np.float64)
    largest = float(values.max(initial=0.0))
    return cover_by_similarity(1 - values / (largest or 1.0), keep, pinned)


def centred(descriptors: Matrix) -> NDArray[np.float64]:
    """Return descriptors ``(N, F)`` minus their mean, or as they are where all are alike.

    Means of activations after ReLU all point into one direction: their cosines are near 1, whatever the image.
    """
    vectors = np.asarray(descriptors, dtype=np.float64)
    apart = vectors - vectors.mean(axis=0)
    return apart if np.linalg.norm(apart) > _ALIKE * np.linalg.norm(vectors) else vectors


def cosine_similarity(descriptors: Matrix, candidates: Sequence[int]) -> NDArray[np.float64]:
    """Return the cosines ``(K, N)`` of the candidates to all N descriptors ``(N, F)``; 0 for a zero descriptor."""
    vectors = np.asarray(descriptors, dtype=np.float64)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = vectors / np.where(norms > 0, norms, 1.0)
    return np.asarray(unit[list(candidates)] @ unit.T)


def _best(values: NDArray[np.float64], covered: NDArray[np.float64], free: NDArray[np.bool_]) -> int:
    gains = np.full(len(values), -1.0)
    gains[free] = np.maximum(values[free] - covered, 0).sum(axis=1)
    return int(np.argmax(gains))  # the first of equals: ties go to the lowest row
