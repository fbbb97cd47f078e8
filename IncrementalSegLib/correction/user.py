"""A simulated user, who corrects the uncertain places that are wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from IncrementalSegLib.correction.spots import Spot, find_spots
from IncrementalSegLib.correction.strokes import Strokes
from IncrementalSegLib.types import StructureId
from IncrementalSegLib.volumes.labels import Mask

Guidance: TypeAlias = Literal["uncertainty", "error", "random"]
"""Order of the wrong places: the most uncertain or the largest first, or at random."""

_RADIUS = 2.0  # of a stroke, in finest voxels: as the clicks in the authors' code
_CERTAIN = 1e-3  # uncertainty of voxels that are wrong and certain


def draw_strokes(
    uncertainty: NDArray[np.float32],
    found: Mapping[StructureId, Mask],
    truth: Mapping[StructureId, Mask],
    spacing: tuple[float, float, float],
    count: int,
    earlier: Strokes | None = None,
    doubtful: Mask | None = None,
    guidance: Guidance = "uncertainty",
    random: np.random.Generator | None = None,
) -> Strokes:
    """Paint the truth in places that are wrong, by default the most uncertain ones (CLIS, experimental setup).

    A place is a spot (:func:`~.spots.find_spots`) of wrong voxels; a stroke is a ball around its middle, as far as the
    truth is the same there.  The truth is used for nothing else.

    Args:
        uncertainty: ``(D, H, W)``, 0..1.
        found: Structure -> outline as it is, ``(D, H, W)``.
        truth: The same structures -> true outline.
        spacing: Millimetres along D, H, W.
        count: Largest number of strokes.
        earlier: Strokes of earlier rounds, which stay and are not repeated.
        doubtful: ``(D, H, W)``, True where the truth is not known.
        guidance: Which places come first.
        random: Draws them for ``random``.

    Returns:
        All strokes.
    """
    wrong: Mask = np.logical_or.reduce([found[item] != truth[item] for item in truth])
    known = np.zeros_like(wrong) if earlier is None else earlier.known.copy()
    wrong &= ~known
    if doubtful is not None:
        wrong &= ~doubtful
    weights = np.maximum(uncertainty, _CERTAIN) if guidance == "uncertainty" else 1
    places = np.where(wrong, weights, 0).astype(np.float32)
    spots = find_spots(places, spacing, wrong.size if guidance == "random" else count, _CERTAIN)
    if guidance == "random":
        chosen = (random or np.random.default_rng()).permutation(len(spots))[:count]
        spots = [spots[place] for place in chosen]
    for spot in spots:
        stroke = _ball(spot, wrong.shape, spacing)
        for mask in truth.values():
            stroke &= mask == mask[spot.centre]
        known |= stroke if doubtful is None else stroke & ~doubtful
    return Strokes({item: mask & known for item, mask in truth.items()}, known)


def _ball(spot: Spot, shape: tuple[int, ...], spacing: tuple[float, float, float]) -> Mask:
    """Return the voxels around the middle of a spot."""
    apart = [
        ((np.arange(size) - centre) * step) ** 2 for size, centre, step in zip(shape, spot.centre, spacing, strict=True)
    ]
    squares = apart[0][:, np.newaxis, np.newaxis] + apart[1][:, np.newaxis] + apart[2]
    return np.asarray(squares <= (_RADIUS * min(spacing)) ** 2 + 1e-6)
