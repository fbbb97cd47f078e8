"""Spread strokes over a predicted scan: from probabilities and strokes to corrected probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from IncrementalSegLib.correction.energy import FLOOR, Energy, Numbers, floored
from IncrementalSegLib.correction.regions import Regions, find_regions

STRENGTH = 30.0
"""Weight λ of a voxel under a stroke (Eq. 14); a region has the mean of its voxels.  The authors' code has 10 for each
pixel of a click; a person draws thinner.  With 100 strokes take the right part of a region along."""

_REACH = 1 / 4
"""Regions are made up to this share of the longest side around the strokes; the influence ends long before."""

_FELT = 0.01
"""Regions whose probabilities change less stay exactly as they are."""

Floats = NDArray[np.float32]
Painted = NDArray[np.bool_]


def propagate(
    image: Floats,
    spacing: tuple[float, float, float],
    probability: Floats,
    painted: Painted,
    background: Painted,
    exclusive: Sequence[bool],
) -> Floats:
    """Return probabilities that follow the strokes, and what looks like them nearby.

    The energy of :class:`~.energy.Energy` is minimised over regions with and without the strokes; the difference of
    the two, in logarithms, is added at each voxel.  So nothing changes where no stroke reaches, and outlines keep the
    detail of the prediction inside a region.  The difference is our own choice: the paper takes the minimum itself,
    which is as coarse as the regions and smooths the whole scan.

    Args:
        image: ``(C, D, H, W)``, the scan as the network sees it.
        spacing: Millimetres along D, H, W.
        probability: ``(K, D, H, W)``, of every structure; 0..1.
        painted: ``(K, D, H, W)``, True under a stroke of the structure.
        background: ``(D, H, W)``, True under a stroke of the background.
        exclusive: For each structure, whether it is one of those that exclude each other; any other is decided alone.

    Returns:
        ``(K, D, H, W)``.

    Raises:
        MissingNeedError: scikit-image is not installed.
    """
    known = background | painted.any(axis=0)
    if not known.any():
        return probability
    box = _around(known, spacing)
    here = (slice(None), *box)
    regions = find_regions(image[here].astype(np.float32), spacing)
    likely, strokes = probability[here], painted[here]
    result = probability.copy()
    if joint := [row for row, excludes in enumerate(exclusive) if excludes]:
        rest = np.clip(1 - likely[joint].sum(axis=0, keepdims=True), 0, 1)
        other = known[box] & ~strokes[joint].any(axis=0)
        classes = np.concatenate([rest, likely[joint]]), np.concatenate([other[np.newaxis], strokes[joint]])
        for row, found in zip(joint, _spread(regions, *classes)[1:], strict=True):
            result[row][box] = found
    for row in (row for row, excludes in enumerate(exclusive) if not excludes):
        pair = np.stack([1 - likely[row], likely[row]]), np.stack([known[box] & ~strokes[row], strokes[row]])
        result[row][box] = _spread(regions, *pair)[1]
    return result


def _spread(regions: Regions, probability: Floats, painted: Painted) -> Floats:
    """Return the probabilities ``(C, D, H, W)`` of classes of which exactly one lies at each voxel."""
    prior = floored(regions.means(probability))
    strokes = STRENGTH * regions.means(painted.astype(np.float32))
    still = Energy(prior, np.zeros_like(prior), regions.edges, regions.weights)
    before = still.minimum()
    after = replace(still, strokes=strokes).minimum(before)
    felt = np.abs(np.exp(after) - np.exp(before)).max(axis=1) > _FELT
    return _shifted(probability, after - before, regions, felt)


def _shifted(probability: Floats, shift: Numbers, regions: Regions, felt: Painted) -> Floats:
    """Add a shift of the logarithms to the voxels of the regions that felt a stroke."""
    where = felt[regions.labels]
    logs = np.log(np.maximum(probability[:, where], FLOOR)) + shift[regions.labels[where]].T
    weights = np.exp(logs - logs.max(axis=0))
    result = probability.copy()
    result[:, where] = weights / weights.sum(axis=0)
    return result


def _around(known: Painted, spacing: tuple[float, float, float]) -> tuple[slice, ...]:
    """Return the box around the strokes and their reach."""
    reach = _REACH * max(size * step for size, step in zip(known.shape, spacing, strict=True))
    sides = []
    for axis, step in enumerate(spacing):
        hit = np.flatnonzero(known.any(axis=tuple(other for other in range(3) if other != axis)))
        steps = int(np.ceil(reach / step))
        sides.append(slice(max(0, int(hit[0]) - steps), min(known.shape[axis], int(hit[-1]) + 1 + steps)))
    return tuple(sides)
