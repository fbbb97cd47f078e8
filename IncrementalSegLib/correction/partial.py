"""Partial labels: what strokes and their propagation say of a scan; everything else is unknown."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Painted = NDArray[np.bool_]

CERTAIN = 0.9
"""Least probability of a voxel that teaches without lying under a stroke; our own choice."""


def partial_labels(
    before: Floats, after: Floats, painted: Painted, background: Painted, exclusive: bool, certain: float = CERTAIN
) -> tuple[Painted, Painted]:
    """Return labels and where they are known: under strokes, and where propagation changed a voxel and is certain.

    Args:
        before: ``(K, D, H, W)``, probability of every structure before the propagation; 0..1.
        after: The same after it.
        painted: ``(K, D, H, W)``, True under a stroke of the structure.
        background: ``(D, H, W)``, True under a stroke of the background.
        exclusive: At most one structure can lie at a voxel; else each is decided alone.
        certain: Least probability of the decision; more than 1: strokes alone teach.

    Returns:
        Labels ``(K, D, H, W)`` and known voxels ``(D, H, W)``, both bool.
    """
    strokes = background | painted.any(axis=0)
    if exclusive:
        rest = np.clip(1 - after.sum(axis=0, keepdims=True), 0, 1)
        classes = np.concatenate([rest, after])
        sure = classes.max(axis=0) >= certain
        labels = classes.argmax(axis=0) == np.arange(1, len(classes)).reshape(-1, 1, 1, 1)
    else:
        sure = (np.maximum(after, 1 - after) >= certain).all(axis=0)
        labels = after > 0.5
    known = strokes | (sure & (before != after).any(axis=0))
    return np.where(strokes, painted, labels) & known, known
