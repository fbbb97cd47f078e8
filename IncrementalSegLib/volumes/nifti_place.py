"""The place of a NIfTI file: which of qform, sform and ``pixdim`` counts where they disagree."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from IncrementalSegLib.errors import GeometryError
from IncrementalSegLib.volumes.notes import Note

_AGAIN = "The file is damaged: copy or export it again."
_FLAT = 1e-6
"""Volume of three unit axes at which they are coplanar."""
_MM_PER_UNIT = {1: 1000.0, 3: 0.001}
"""Spatial unit code -> millimetres; every other code means millimetres."""
_SAME_SIZE = 1e-3
"""Relative difference of two voxel sizes that is rounding."""
_SAME_PLACE = 0.1
"""Distance of a corner by qform and sform that is rounding, as a share of the smallest voxel edge."""
_SCANNER, _ALIGNED = 1, 2

Frame = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]
"""Spacing in mm, origin in mm and direction matrix, LPS."""


@dataclass(frozen=True)
class PlaceFields:
    """The fields of a header that say where the voxels lie.

    Attributes:
        shape: Voxels along x, y, z.
        pixdim: All eight ``pixdim``.
        codes: ``qform_code`` and ``sform_code``.
        qform: Quaternion b, c, d and offset x, y, z.
        sform: ``(3, 4)`` matrix to RAS.
        mm: Millimetres per unit of length.
    """

    shape: tuple[int, int, int]
    pixdim: tuple[float, ...]
    codes: tuple[int, int]
    qform: tuple[float, ...]
    sform: NDArray[np.float64]
    mm: float


def read_place(head: bytes, order: str, dims: tuple[int, ...], units: int) -> PlaceFields:
    """Read the place from the bytes of a NIfTI-1 or NIfTI-2 header."""
    if struct.unpack_from(order + "i", head)[0] == 348:
        pixdim, codes = struct.unpack_from(order + "8f", head, 76), struct.unpack_from(order + "2h", head, 252)
        qform, rows = struct.unpack_from(order + "6f", head, 256), struct.unpack_from(order + "12f", head, 280)
    else:
        pixdim, codes = struct.unpack_from(order + "8d", head, 104), struct.unpack_from(order + "2i", head, 344)
        qform, rows = struct.unpack_from(order + "6d", head, 352), struct.unpack_from(order + "12d", head, 400)
    lengths = [*dims[1 : 1 + min(3, dims[0])], 1, 1][:3]
    return PlaceFields(
        (lengths[0], lengths[1], lengths[2]),
        pixdim,
        (codes[0], codes[1]),
        qform,
        np.array(rows, dtype=np.float64).reshape(3, 4),
        _MM_PER_UNIT.get(units & 7, 1.0),
    )


def matrix(place: PlaceFields, name: str, notes: list[Note]) -> Frame:
    """Return spacing, origin and directions in mm, LPS.

    As in ITK and so in 3D Slicer, an sform in scanner coordinates counts before the qform, and the qform before
    the sform of a template.  Where ``pixdim`` gives the voxels another size than the sform of the scan, the sform
    counts.

    Args:
        place: The fields of the header.
        name: Name of the file, for messages.
        notes: Receives a contradiction between two fields, once.

    Raises:
        GeometryError: No field gives the voxels a size and a place.
    """
    sizes = [size if count > 1 or 0 < size < math.inf else 1.0 for size, count in _edges(place)]
    lost = not all(0 < size < math.inf for size in sizes)
    sform, qform = _of_sform(place, name), None
    if place.codes[0] > 0 and not lost:
        qform = _of_qform(place, sizes, name, needed=sform is None)
    if sform is None and qform is None:
        return _of_pixdim(place, sizes, lost, name, notes)
    if sform is None or qform is None:
        chosen = sform or qform
        assert chosen is not None
        if sform is not None and _resized(place, sform, sizes):
            notes.append(_two_sizes(name, sform, np.array(sizes) * place.mm))
        return chosen
    trusted = place.codes[1] == _SCANNER or (place.codes[1] == _ALIGNED and _resized(place, sform, sizes))
    if _resized(place, sform, sizes) and trusted:
        notes.append(_two_sizes(name, sform, np.array(sizes) * place.mm))
    elif (apart := _apart(place, sform, qform)) > _SAME_PLACE * min(sizes) * place.mm:
        used = "sform" if trusted else "qform"
        said = f"{name} has two places, up to {apart:.3g} mm apart (sform and qform): the {used} is used."
        notes.append(Note("two-places", said))
    return sform if trusted else qform


def _edges(place: PlaceFields) -> list[tuple[float, int]]:
    return list(zip(place.pixdim[1:4], place.shape, strict=True))


def _of_sform(place: PlaceFields, name: str) -> Frame | None:
    """Return what the sform says; ``None`` where there is none, or a flat one beside a qform."""
    if place.codes[1] <= 0:
        return None
    rows = place.sform * place.mm
    known = bool(np.isfinite(rows).all())
    lengths = np.linalg.norm(rows[:, :3], axis=0) if known else np.zeros(3)
    flat = not known or abs(np.linalg.det(rows[:, :3])) <= _FLAT * lengths.prod()
    if flat and (place.codes[0] <= 0 or not known):
        raise GeometryError(f"The position in the header of {name} (sform) is not a number, or flat.", todo=_AGAIN)
    if flat:
        return None
    return lengths, _lps(rows[:, 3]), _lps(rows[:, :3] / lengths)


def _of_qform(place: PlaceFields, sizes: list[float], name: str, *, needed: bool) -> Frame | None:
    if not np.isfinite(place.qform).all():
        if not needed:
            return None
        raise GeometryError(f"The position in the header of {name} (qform) is not a number.", todo=_AGAIN)
    b, c, d = place.qform[:3]
    square = b * b + c * c + d * d
    a = math.sqrt(max(0.0, 1.0 - square))
    if square > 1.0:  # half a turn, its sine rounded up
        b, c, d = (part / math.sqrt(square) for part in (b, c, d))
    turn = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
    if place.pixdim[0] < 0:
        turn[:, 2] *= -1
    return np.array(sizes) * place.mm, _lps(np.array(place.qform[3:]) * place.mm), _lps(turn)


def _of_pixdim(place: PlaceFields, sizes: list[float], lost: bool, name: str, notes: list[Note]) -> Frame:
    if lost:
        size = " x ".join(f"{size * place.mm:g}" for size, count in _edges(place) if count > 1)
        raise GeometryError(f"{name} gives its voxels the size {size} mm.", todo="Export the scan again.")
    if min(place.shape) > 1:
        said = f"{name} gives no position (no qform, no sform): its axes are taken as left, posterior, superior."
        notes.append(Note("no-place", said))
    return np.array(sizes) * place.mm, np.zeros(3), np.eye(3)


def _resized(place: PlaceFields, sform: Frame, sizes: list[float]) -> bool:
    """Tell whether sform and ``pixdim`` disagree about a voxel edge."""
    pairs = zip(sform[0], np.array(sizes) * place.mm, place.shape, strict=True)
    return any(not abs(own - other) <= _SAME_SIZE * own for own, other, count in pairs if count > 1)


def _two_sizes(name: str, sform: Frame, sizes: NDArray[np.float64]) -> Note:
    own, other = (" x ".join(f"{size:.4g}" for size in edges) for edges in (sform[0], sizes))
    said = f"{name} gives its voxels two sizes: {own} mm (sform) and {other} mm (pixdim); the sform is used."
    return Note("two-spacings", said)


def _apart(place: PlaceFields, first: Frame, second: Frame) -> float:
    """Return the largest distance of a corner by two frames, in mm."""
    ends = np.stack(np.meshgrid(*[(0, count - 1) for count in place.shape]), axis=-1).reshape(-1, 3)
    places = [ends * spacing @ direction.T + origin for spacing, origin, direction in (first, second)]
    return float(np.linalg.norm(places[0] - places[1], axis=1).max())


def _lps(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return positions or axes in LPS; NIfTI is RAS."""
    signs = np.array([-1.0, -1.0, 1.0])
    return np.asarray(values * (signs if values.ndim == 1 else signs[:, np.newaxis]))
