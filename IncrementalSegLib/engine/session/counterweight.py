"""The other side of one-sided strokes: voxels of which the version in use is sure.

Strokes of the background alone would teach that there is background everywhere, and those of a structure alone that it
is everywhere: on photographs, two rounds erased what was not painted, also in later scans (docs/correct.md).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import distance_transform_edt

from IncrementalSegLib.correction.propagation import Floats, Painted

CERTAIN = 0.9
"""Least probability of what is taken over, or of its absence; our own choice."""

REACH = 1 / 16
"""Nothing is taken over within this share of the scan's longest side from a stroke, where the outline is in question:
the reach of an uncertain spot."""


def one_sided(painted: Painted, known: Painted) -> bool:
    """Tell whether strokes, of the shapes below, are of the background alone, or of structures alone."""
    anything = np.asarray(painted.any(axis=0))
    return not anything.any() or bool(anything[known].all())


def counterweight(
    likely: Floats, painted: Painted, known: Painted, near: Painted, spacing: Sequence[float]
) -> tuple[Painted, Painted]:
    """Return voxels of the structures where only background was painted, and of the background where it was not.

    There are none where both were painted.  Together they are at most as many as the voxels under strokes, and evenly
    spread over where the version is sure.

    Args:
        likely: ``(K, D, H, W)``, probability of each structure according to the version in use.
        painted: ``(K, D, H, W)``, True under a stroke of the structure.
        known: ``(D, H, W)``, True under any stroke.
        near: ``(D, H, W)``, True in the crops that teach.
        spacing: Millimetres along D, H, W.

    Returns:
        Which voxels they are, ``(D, H, W)``, and where each structure lies in them, ``(K, D, H, W)``.
    """
    chosen, there = np.zeros_like(known), likely >= CERTAIN
    longest = max(size * step for size, step in zip(known.shape, spacing, strict=True))
    sure = (there | (likely <= 1 - CERTAIN)).all(axis=0) & near
    sure &= distance_transform_edt(~known, sampling=spacing) > REACH * longest
    sides = np.asarray(there if not painted.any() else ~there.any(axis=0, keepdims=True))
    lacking = [voxels for side in sides if (voxels := np.flatnonzero(sure & side)).size]
    for voxels in lacking if one_sided(painted, known) else ():
        count = min(voxels.size, max(1, int(known.sum()) // len(lacking)))
        chosen.flat[voxels[np.arange(count) * voxels.size // count]] = True
    return chosen, there & chosen
