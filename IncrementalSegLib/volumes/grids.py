"""Agreement of two grids, and the transfer of samples from one to another without new values."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from IncrementalSegLib.errors import GeometryError
from IncrementalSegLib.volumes.volume import Grid

if TYPE_CHECKING:
    import SimpleITK as sitk

ORIGIN_TOLERANCE = 1e-3
"""Largest distance of two origins that count as one, as a share of the spacing."""

SPACING_TOLERANCE = 1e-4
"""Largest relative difference of two spacings that count as one."""

DIRECTION_TOLERANCE = 1e-4
"""Largest difference of two direction cosines that count as one."""

SHEAR_LIMIT = 1e-3
"""Largest deviation from orthonormal directions that is repaired; above it a file is refused."""


_FEW_SAMPLES, _FEW = 2, 0.05
"""Samples along an axis, and share of them, by which grids of nearly the same size differ at most."""


def shear_of(matrix: NDArray[np.float64]) -> float:
    """Measure how far the columns are from orthonormal: the largest entry of |MᵀM - I|.

    Args:
        matrix: Square direction matrix.
    """
    return float(np.abs(matrix.T @ matrix - np.eye(len(matrix))).max())


def orthonormal(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the orthonormal matrix nearest to ``matrix`` (UVᵀ of its SVD); a reflection stays one."""
    u, _, vt = np.linalg.svd(matrix)
    return np.asarray(u @ vt)


def refuse_shear(matrix: NDArray[np.float64], name: str) -> float:
    """Return the deviation of a direction matrix from orthonormal.

    Args:
        matrix: 3x3 direction matrix.
        name: Name of the file, for the message.

    Raises:
        GeometryError: The deviation exceeds :data:`SHEAR_LIMIT`.
    """
    shear = shear_of(matrix)
    if not shear <= SHEAR_LIMIT:
        raise GeometryError(
            f"The directions of {name} are not orthonormal (deviation {shear:.2g}, at most {SHEAR_LIMIT:g}).",
            "The scan is sheared, as by a tilted gantry.",
            "Resample it to a rectangular grid, for example in 3D Slicer with Resample Scalar Volume.",
        )
    return shear


def difference(first: Grid, second: Grid) -> str:
    """Say where two grids differ beyond the tolerances; an empty string where they agree.

    Two-dimensional pictures carry no position in the patient, so that only their size counts.
    """
    return next(_differences(first, second), "")


def moved(first: Grid, second: Grid) -> str:
    """Say where two grids of nearly the same size differ that lie at other places; an empty string for all others.

    Nearly: up to two samples or a twentieth. Grids of one size are so wherever their corners differ; others only on a
    common lattice, as after a mirror, or where one of the two has no origin or no spacing of its own.
    """
    if first.planar or second.planar:
        return ""
    off = np.abs(np.subtract(first.shape, second.shape))
    if (off > np.maximum(_FEW_SAMPLES, np.multiply(second.shape, _FEW))).any():
        return ""
    if _same_corners(first, second, float(off.max())):
        return ""
    if not off.any() or same_lattice(first, second) or _lost(first, second):
        return ", ".join(_differences(first, second))
    return ""


def same_lattice(first: Grid, second: Grid) -> bool:
    """Tell whether the samples of both grids fall on each other, as in a crop, or a scan stored in another order."""
    if first.planar or second.planar:
        return first.shape == second.shape
    offset = _offset(first, second)
    aligned = float(np.abs(offset - np.round(offset)).max()) <= ORIGIN_TOLERANCE
    steps = np.linalg.inv(first.matrix) @ second.matrix * second.spacing / np.array(first.spacing)[:, np.newaxis]
    whole = np.abs(np.round(steps))
    return aligned and float(np.abs(np.abs(steps) - whole).max()) <= 2 * DIRECTION_TOLERANCE and _permutes(whole)


def _same_corners(first: Grid, second: Grid, slack: float = 0.0) -> bool:
    """Tell whether the outermost samples of both grids lie at the same places, up to half a sample and ``slack``.

    The order in which the samples are stored does not matter.
    """
    inner, outer = (_ends(grid) for grid in (first, second))
    apart = np.abs(_within(_positions(inner, first), second)[:, np.newaxis] - outer).max(axis=-1)
    return bool((apart.min(axis=1) <= 0.5 + slack + ORIGIN_TOLERANCE).all())


def overlap(first: Grid, second: Grid) -> bool:
    """Tell whether the boxes of the two grids share a part of the patient."""
    if first.planar or second.planar:
        return first.shape == second.shape
    low, high = _box(second, first)
    return bool((high > -0.5).all() and (low < np.array(first.shape[::-1]) - 0.5).all())


def inside(inner: Grid, outer: Grid) -> bool:
    """Tell whether the box of one grid lies within that of another, up to half a sample."""
    if inner.planar or outer.planar:
        return inner.shape == outer.shape
    low, high = _box(inner, outer)
    return bool((low > -1).all() and (high < outer.shape[::-1]).all())


def beyond(samples: NDArray[np.integer], grid: Grid, frame: Grid) -> NDArray[np.bool_]:
    """Tell which samples of ``grid`` lie outside of ``frame``, by more than half a sample of it.

    Args:
        samples: ``(n, 3)``, indices d, h, w.
        grid: Their grid.
        frame: The other grid.

    Returns:
        ``(n,)``.
    """
    if grid.planar or frame.planar:
        return np.asarray((samples >= frame.shape).any(axis=1))
    within = _within(_positions(np.asarray(samples[:, ::-1], np.float64), grid), frame)
    return np.asarray(((within < -0.5) | (within > np.array(frame.shape[::-1]) - 0.5)).any(axis=1))


def resample_nearest(array: NDArray[np.generic], source: Grid, target: Grid) -> NDArray[np.generic]:
    """Bring samples to another grid by the nearest neighbour; zero outside the source.

    Args:
        array: ``(C, D, H, W)`` of any real dtype.
        source: The grid of ``array``.
        target: The grid to bring it to.

    Returns:
        ``(C, D, H, W)`` of the same dtype on ``target``.
    """
    import SimpleITK as sitk  # a tenth of a second; front ends read headers without it

    reference = sitk.Image([int(size) for size in target.shape[::-1]], sitk.sitkUInt8)
    place(reference, target)
    moved = []
    for channel in array:
        image = sitk.GetImageFromArray(channel)
        place(image, source)
        result = sitk.Resample(image, reference, sitk.Transform(), sitk.sitkNearestNeighbor)
        moved.append(sitk.GetArrayFromImage(result))
    return np.stack(moved)


def place(image: sitk.Image, grid: Grid) -> None:
    """Give a SimpleITK image the spacing, origin and direction of ``grid``; a 2-D image takes x and y."""
    axes = image.GetDimension()
    image.SetSpacing(grid.spacing[:axes])
    image.SetOrigin(grid.origin[:axes])
    image.SetDirection(grid.matrix[:axes, :axes].ravel().tolist())


def _differences(first: Grid, second: Grid) -> Iterator[str]:
    """Yield all that differs between two grids beyond the tolerances."""
    if first.shape != second.shape:
        yield f"size {_size(first)} against {_size(second)}"
    if first.planar or second.planar:
        return
    if not _spacing_agrees(first, second):
        yield f"spacing {_numbers(first.spacing)} against {_numbers(second.spacing)} mm"
    if not _direction_agrees(first, second):
        cosines = np.clip((first.matrix * second.matrix).sum(axis=0), -1, 1)
        yield f"axes that differ by {np.degrees(np.arccos(cosines.min())):.3g} degrees"
    if np.abs(_offset(first, second)).max() > ORIGIN_TOLERANCE:
        yield f"origin {_numbers(first.origin)} against {_numbers(second.origin)} mm"


def _lost(first: Grid, second: Grid) -> bool:
    """Tell whether one of two grids has the origin or spacing of a file without a header, and the other has not."""
    parts = (((0.0, 0.0, 0.0), first.origin, second.origin), ((1.0, 1.0, 1.0), first.spacing, second.spacing))
    return any((own == default) != (other == default) for default, own, other in parts)


def _box(grid: Grid, frame: Grid) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the lowest and highest corner of ``grid`` in samples of ``frame``, x, y, z."""
    within = _within(_positions(_ends(grid, 0.5), grid), frame)
    return within.min(axis=0), within.max(axis=0)


def _ends(grid: Grid, beyond: float = 0.0) -> NDArray[np.float64]:
    """Return the eight corners of a grid in its own samples, x, y, z."""
    return np.array(list(itertools.product(*((-beyond, size - 1 + beyond) for size in reversed(grid.shape)))))


def _positions(samples: NDArray[np.float64], grid: Grid) -> NDArray[np.float64]:
    """Return where samples of a grid lie, in mm."""
    return np.asarray(samples * grid.spacing @ grid.matrix.T + grid.origin)


def _within(positions: NDArray[np.float64], frame: Grid) -> NDArray[np.float64]:
    """Return positions in mm as samples of ``frame``."""
    return np.asarray((positions - frame.origin) @ np.linalg.inv(frame.matrix).T / frame.spacing)


def _offset(first: Grid, second: Grid) -> NDArray[np.float64]:
    """Return the origin of ``second`` in samples of ``first``."""
    shift = np.subtract(second.origin, first.origin)
    return np.asarray(np.linalg.inv(first.matrix) @ shift / first.spacing)


def _permutes(matrix: NDArray[np.float64]) -> bool:
    return bool((matrix.sum(axis=0) == 1).all() and (matrix.sum(axis=1) == 1).all())


def _spacing_agrees(first: Grid, second: Grid) -> bool:
    return bool(np.allclose(first.spacing, second.spacing, rtol=SPACING_TOLERANCE, atol=0))


def _direction_agrees(first: Grid, second: Grid) -> bool:
    return float(np.abs(first.matrix - second.matrix).max()) <= DIRECTION_TOLERANCE


def _size(grid: Grid) -> str:
    axes = grid.shape[:0:-1] if grid.planar else grid.shape[::-1]
    return " x ".join(map(str, axes))


def _numbers(values: tuple[float, ...]) -> str:
    return " x ".join(f"{value:.6g}" for value in values)
