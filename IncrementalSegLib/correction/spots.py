"""Uncertain spots of a predicted scan, ranked by the correction that is due first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

UNCERTAIN = 0.5
"""A voxel is uncertain from this uncertainty on, half of the largest possible; our own choice."""

_REACH = 1 / 16
"""Reach of a spot from its most uncertain place, as a share of the scan's longest side; our own choice."""

Box = tuple[slice, slice, slice]
Steps = tuple[int, ...]


@dataclass(frozen=True)
class Spot:
    """A connected uncertain part of a scan.

    Attributes:
        box: Where it lies, as slices along D, H, W.
        mask: Its voxels inside the box, bool.
        centre: The voxel of it nearest to its middle (d, h, w).
        uncertainty: Mean uncertainty of its voxels, 0..1.
    """

    box: Box
    mask: NDArray[np.bool_]
    centre: tuple[int, int, int]
    uncertainty: float

    @property
    def voxels(self) -> int:
        """Number of its voxels."""
        return int(np.count_nonzero(self.mask))

    @property
    def weight(self) -> float:
        """Number of voxels times mean uncertainty, by which spots are ranked."""
        return self.voxels * self.uncertainty

    def mean(self, values: NDArray[np.floating]) -> float:
        """Return the mean of a map ``(D, H, W)`` over the spot."""
        return float(values[self.box][self.mask].mean(dtype=np.float64))


def find_spots(
    uncertainty: NDArray[np.float32], spacing: tuple[float, float, float], count: int, least: float = UNCERTAIN
) -> list[Spot]:
    """Return the largest uncertain spots, the first to be corrected first.

    The rank is size times mean uncertainty: about the volume that is likely to be wrong, so that neither one very
    uncertain voxel nor a wide haze comes first.  Voxels of at least ``least`` that touch each other belong together.
    The uncertain rim around an organ is one such region, which no person corrects at once: a spot therefore ends at
    1/16 of the scan's longest side from the place with most uncertainty around it; the rest makes further spots.

    Args:
        uncertainty: ``(D, H, W)``, 0..1.
        spacing: Millimetres along D, H, W.
        count: Largest number of spots.
        least: Uncertainty from which on a voxel belongs to a spot.

    Returns:
        Spots by falling weight; fewer where less is uncertain.
    """
    rest = np.where(uncertainty >= least, uncertainty, 0).astype(np.float32)
    radius = _REACH * float(np.max(np.multiply(uncertainty.shape, spacing)))
    widths = tuple(radius / step / 2 for step in spacing)
    steps = tuple(int(2 * width + 0.5) for width in widths)  # where the Gaussian ends
    density = _density(rest, widths)
    spots: list[Spot] = []
    while len(spots) < count:
        at = np.unravel_index(int(np.argmax(density)), density.shape)
        if density[at] <= 0:
            break
        spot = _around(rest, (int(at[0]), int(at[1]), int(at[2])), steps, spacing, radius)
        rest[spot.box][spot.mask] = 0
        changed = _grown(spot.box, steps, rest.shape)
        seen = _grown(changed, steps, rest.shape)
        density[changed] = _density(rest[seen], widths)[_within(changed, seen)]
        spots.append(spot)
    return sorted(spots, key=lambda spot: spot.weight, reverse=True)


def _density(uncertain: NDArray[np.float32], widths: tuple[float, ...]) -> NDArray[np.float32]:
    """Return the Gaussian mean, of these widths, around each uncertain voxel, and 0 at all others."""
    mean = ndimage.gaussian_filter(uncertain, widths, mode="constant", truncate=2.0)
    return np.where(uncertain > 0, mean, 0)


def _around(
    uncertain: NDArray[np.float32],
    at: tuple[int, int, int],
    steps: Steps,
    spacing: tuple[float, float, float],
    radius: float,
) -> Spot:
    """Return the voxels that are connected with one inside the radius."""
    window = _grown((slice(at[0], at[0] + 1), slice(at[1], at[1] + 1), slice(at[2], at[2] + 1)), steps, uncertain.shape)
    offsets = np.ogrid[window]
    squares = sum(((offset - place) * step) ** 2 for offset, place, step in zip(offsets, at, spacing, strict=True))
    labels, _ = ndimage.label((uncertain[window] > 0) & (squares <= radius**2), structure=np.ones((3, 3, 3)))
    part = labels == labels[tuple(place - side.start for place, side in zip(at, window, strict=True))]
    (inside,) = ndimage.find_objects(part.astype(np.uint8))
    box = _box(slice(side.start + own.start, side.start + own.stop) for side, own in zip(window, inside, strict=True))
    mask, weights = part[inside], uncertain[box][part[inside]]
    places = np.argwhere(mask)
    away = (places - np.average(places, axis=0, weights=weights)) * spacing
    middle = places[np.argmin((away**2).sum(axis=1))] + [side.start for side in box]
    centre = (int(middle[0]), int(middle[1]), int(middle[2]))
    return Spot(box, mask, centre, float(weights.mean(dtype=np.float64)))


def _grown(box: Box, steps: Steps, shape: tuple[int, ...]) -> Box:
    sides = zip(box, steps, shape, strict=True)
    return _box(slice(max(0, side.start - step), min(size, side.stop + step)) for side, step, size in sides)


def _within(box: Box, outer: Box) -> Box:
    return _box(slice(a.start - b.start, a.stop - b.start) for a, b in zip(box, outer, strict=True))


def _box(sides: Iterable[slice]) -> Box:
    first, second, third = sides
    return first, second, third
