"""What ITK does not tell about a NIfTI file: missing data, voxels or a scale that are no number, a sheared sform.

ITK reads a truncated or damaged NIfTI file without a word and leaves the rest of the array undefined, it turns
NaN and infinite voxels into zeros, takes a voxel of 0 mm for one of 1 mm and an axis without voxels for one
voxel, and it refuses a file whose sform is sheared by rounding.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from IncrementalSegLib.errors import DataError, GeometryError
from IncrementalSegLib.volumes.grids import DIRECTION_TOLERANCE, shear_of

_HEADER_BYTES = 348
_BLOCK = 1 << 22
_GZIP = b"\x1f\x8b"
_AGAIN = "The file is damaged: copy or export it again."
_FLAT = 1e-6
"""Volume of three unit axes at which they lie in one plane."""
_FLOATS = (16, 64)
_BITS = {2: 8, 4: 16, 8: 32, 16: 32, 32: 64, 64: 64, 128: 24, 256: 8, 512: 16, 768: 32, 1024: 64, 1280: 64, 1792: 128}
_BITS |= {2304: 32}
"""Data type code -> bits of a voxel."""
_MM_PER_UNIT = {1: 1000.0, 3: 0.001}
"""Spatial unit code -> millimetres; every other code means millimetres."""


@dataclass(frozen=True)
class NiftiHeader:
    """The fields of a NIfTI-1 header that decide whether ITK can be trusted with the file.

    Attributes:
        offset: Bytes before the first voxel.
        data_bytes: Bytes of all voxels.
        floats: The dtype of the voxels where they can be NaN or infinite, else ``None``.
        slope: ``scl_slope``; not finite in a corrupt file.
        intercept: ``scl_inter``.
        affine: ``(3, 4)`` sform in mm, LPS, where it is the one that counts, else ``None``.
        voxel: ``pixdim`` of the axes x, y, z that have more than one sample; above 0 unless the file is corrupt.
        compressed: The bytes on disk are gzip, whatever the ending says.
        order: ``"<"`` or ``">"``, the byte order of the header.
    """

    offset: int
    data_bytes: int
    floats: np.dtype[np.floating] | None
    slope: float
    intercept: float
    affine: NDArray[np.float64] | None
    voxel: tuple[float, ...]
    compressed: bool
    order: str

    @property
    def lost_voxel(self) -> bool:
        """Whether ``pixdim`` gives a voxel no size."""
        return not all(0 < size < math.inf for size in self.voxel)

    @property
    def needs_copy(self) -> bool:
        """Whether ITK refuses or misreads a file whose sform says all: it is sheared, or ``pixdim`` is bad."""
        return self.affine is not None and (self.lost_voxel or shear_of(self.directions) > DIRECTION_TOLERANCE / 2)

    @property
    def spacing(self) -> NDArray[np.float64]:
        """Millimetres along x, y, z by the sform."""
        assert self.affine is not None
        return np.asarray(np.linalg.norm(self.affine[:, :3], axis=0))

    @property
    def directions(self) -> NDArray[np.float64]:
        """Direction matrix of the sform, its columns of length 1."""
        assert self.affine is not None
        return np.asarray(self.affine[:, :3] / self.spacing)


def is_nifti(path: Path) -> bool:
    """Tell by the ending whether ``path`` is a NIfTI file in one piece."""
    return path.name.lower().endswith((".nii", ".nii.gz"))


def read_header(path: Path) -> NiftiHeader:
    """Read the header of a NIfTI-1 file.

    Raises:
        DataError: The file is no NIfTI-1 file, ends within its header, or the header contradicts itself.
        GeometryError: The place of the scan is no number.
    """
    head, compressed = _first_bytes(path)
    if len(head) < _HEADER_BYTES:
        raise DataError(f"{path.name} ends within its header.", todo="Copy or export the file again.")
    order = next((mark for mark in "<>" if struct.unpack(mark + "i", head[:4])[0] == _HEADER_BYTES), "")
    if not order:
        version = 2 if 540 in (struct.unpack(mark + "i", head[:4])[0] for mark in "<>") else None
        what = "is a NIfTI-2 file" if version else "has no NIfTI header"
        raise DataError(f"{path.name} {what}.", todo="Export the scan as NIfTI-1 or NRRD, for example from 3D Slicer.")
    dims = struct.unpack(order + "8h", head[40:56])
    kind, bits = struct.unpack(order + "2h", head[70:74])
    offset, slope, intercept = struct.unpack(order + "3f", head[108:120])
    _check_numbers(path, dims, kind, bits, offset)
    spacing = struct.unpack(order + "3f", head[80:92])
    return NiftiHeader(
        offset=int(offset),
        data_bytes=math.prod(dims[1 : 1 + dims[0]]) * bits // 8,
        floats=np.dtype(f"{order}f{bits // 8}") if kind in _FLOATS else None,
        slope=slope,
        intercept=intercept,
        affine=_sform(head, order, path) if dims[0] > 2 else None,
        voxel=tuple(size for size, count in zip(spacing, dims[1 : 1 + dims[0]], strict=False) if count > 1),
        compressed=compressed,
        order=order,
    )


def check_voxels(path: Path, header: NiftiHeader) -> NDArray[np.bool_] | None:
    """Make sure that every voxel the header promises is there, and find those that are no number.

    Returns:
        ``(C * D * H * W,)`` bool, True where a voxel is NaN or infinite; ``None`` where none is.

    Raises:
        DataError: The file is truncated or its compression is damaged.
    """
    todo = "The file is incomplete: copy or export it again."
    bad: list[NDArray[np.bool_]] = []
    there = 0
    try:
        with gzip.open(path, "rb") if header.compressed else path.open("rb") as file:
            file.seek(header.offset)
            # Unpacking to the end compares the checksum.
            while block := file.read(_BLOCK):
                there += len(block)
                if header.floats is not None:
                    whole = len(block) // header.floats.itemsize * header.floats.itemsize
                    bad.append(~np.isfinite(np.frombuffer(block[:whole], dtype=header.floats)))
    except (EOFError, OSError, zlib.error) as error:
        raise DataError(f"{path.name} is truncated or damaged: it cannot be unpacked to its end.", todo=todo) from error
    if there < header.data_bytes:
        raise DataError(f"{path.name} is truncated: {there} of {header.data_bytes} bytes are there.", todo=todo)
    if not any(part.any() for part in bad):
        return None
    return np.concatenate(bad)[: header.data_bytes // header.floats.itemsize] if header.floats is not None else None


def write_plain_copy(path: Path, header: NiftiHeader, copy: Path) -> None:
    """Write the file uncompressed; a sheared sform is switched off so that ITK reads the voxels."""
    data = bytearray(gzip.decompress(path.read_bytes()) if header.compressed else path.read_bytes())
    if header.needs_copy:
        data[252:256] = struct.pack(header.order + "2h", 0, 0)
    copy.write_bytes(data)


def _first_bytes(path: Path) -> tuple[bytes, bool]:
    with path.open("rb") as file:
        head = file.read(_HEADER_BYTES)
    if head[:2] != _GZIP:
        return head, False
    try:
        with gzip.open(path, "rb") as packed:
            return packed.read(_HEADER_BYTES), True
    except (EOFError, OSError, zlib.error) as error:
        raise DataError(f"{path.name} cannot be unpacked ({error}).", todo=_AGAIN) from error


def _check_numbers(path: Path, dims: tuple[int, ...], kind: int, bits: int, offset: float) -> None:
    """Refuse a header that promises what no file can hold."""
    if not 1 <= dims[0] <= 7 or min(dims[1 : 1 + dims[0]]) < 1:
        size = " x ".join(map(str, dims[1 : 1 + min(7, max(0, dims[0]))])) or "no"
        raise DataError(f"{path.name} says that it has {dims[0]} axes of {size} voxels.", todo=_AGAIN)
    if _BITS.get(kind) != bits:
        raise DataError(
            f"{path.name} has voxels of the type {kind} with {bits} bits.", "There is no such type.", _AGAIN
        )
    if not 0 <= offset < 2**31:
        raise DataError(f"{path.name} says that its voxels begin at byte {offset:g}.", todo=_AGAIN)


def _sform(head: bytes, order: str, path: Path) -> NDArray[np.float64] | None:
    """Return the sform where ITK prefers it: no qform, or an sform in scanner coordinates that is not flat."""
    qform_code, sform_code = struct.unpack(order + "2h", head[252:256])
    if sform_code > 0 and (qform_code <= 0 or sform_code == 1):
        rows = np.array(struct.unpack(order + "12f", head[280:328]), dtype=np.float64).reshape(3, 4)
        known = bool(np.isfinite(rows).all())
        flat = known and abs(np.linalg.det(rows[:, :3])) <= _FLAT * np.linalg.norm(rows[:, :3], axis=0).prod()
        if not known or (flat and qform_code <= 0):
            raise GeometryError(
                f"The position in the header of {path.name} (sform) is no number, or flat.", todo=_AGAIN
            )
        if not flat:
            rows[:2] *= -1  # NIfTI is RAS, everything here is LPS
            return rows * _MM_PER_UNIT.get(head[123] & 7, 1.0)
    if qform_code > 0 and not np.isfinite(struct.unpack(order + "6f", head[256:280])).all():
        raise GeometryError(f"The position in the header of {path.name} (qform) is no number.", todo=_AGAIN)
    return None
