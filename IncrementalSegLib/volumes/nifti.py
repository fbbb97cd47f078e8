"""NIfTI-1 and NIfTI-2 files, in one piece or as a pair of header and voxels, packed or not.

They are read here and not by ITK, which accepts a truncated or damaged file silently, turns NaN and infinite
voxels into zeros, lets ``pixdim`` overrule the sform, and refuses a file whose sform is sheared by rounding.
"""

from __future__ import annotations

import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from IncrementalSegLib.errors import DataError
from IncrementalSegLib.volumes import nifti_place
from IncrementalSegLib.volumes.grids import SHEAR_LIMIT, shear_of
from IncrementalSegLib.volumes.notes import Note
from IncrementalSegLib.volumes.payload import beside, read_payload, require_file
from IncrementalSegLib.volumes.raw import RawImage, fourth_axis, grid_of
from IncrementalSegLib.volumes.volume import Grid

ENDINGS = (".nii", ".nii.gz", ".hdr", ".hdr.gz", ".img", ".img.gz")
_GZIP = b"\x1f\x8b"
_LONGEST = 1 << 16
"""Bytes of a packed file that hold its header."""
_AGAIN = "The file is damaged: copy or export it again."
_TYPES = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8"}
"""Data type code -> a number per voxel."""
_COLORS = {128: 3, 2304: 4}
"""Data type code -> bytes per voxel."""
_COMPLEX = (32, 1792, 2048)
_TIME_UNITS = {8: "s", 16: "ms", 24: "µs"}
_SPECTRAL_UNITS = {32: "Hz", 40: "ppm", 48: "rad/s"}
_TIME_SERIES = 2001


@dataclass(frozen=True)
class NiftiHeader:
    """The fields of a header that say what the voxels are.

    Attributes:
        pair: The voxels are in a separate file.
        dims: ``dim``: number of axes and their lengths.
        kind: Data type code.
        bits: Bits of a voxel.
        offset: Bytes before the first voxel.
        slope: ``scl_slope``.
        intercept: ``scl_inter``.
        units: ``xyzt_units``.
        intent: ``intent_code``.
        time_offset: ``toffset``.
        place: Where the voxels lie.
        compressed: The bytes on disk are gzip, whatever the ending says.
        order: ``"<"`` or ``">"``, the byte order.
    """

    pair: bool
    dims: tuple[int, ...]
    kind: int
    bits: int
    offset: int
    slope: float
    intercept: float
    units: int
    intent: int
    time_offset: float
    place: nifti_place.PlaceFields
    compressed: bool
    order: str

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes, without axes of one voxel beyond the third."""
        axes = self.dims[0]
        while axes > 3 and self.dims[axes] == 1:
            axes -= 1
        return self.dims[1 : 1 + axes]


def read(path: Path, notes: list[Note]) -> RawImage:
    """Read a NIfTI file.

    Args:
        path: ``.nii``, ``.nii.gz``, or one file of a pair ``.hdr`` and ``.img``.
        notes: Assumptions and repairs are appended here.

    Raises:
        DataError: It is no NIfTI file, truncated, damaged, a time series, or larger than the free memory.
        GeometryError: The place of the voxels is unknown or sheared.
    """
    own = _header_file(path)
    header = read_header(own)
    grid, shape, components = _content(header, path, notes)
    data = own if not header.pair else _partner(own, ".hdr", ".img")
    if data != own:
        require_file(data)
    array = _voxels(data, header, math.prod(shape) * components, notes)
    return RawImage(array.reshape(-1, *grid.shape), grid)


def read_grid(path: Path, notes: list[Note]) -> tuple[Grid, int]:
    """Read where the voxels lie, and the number of channels, without reading a voxel.

    Args:
        path: As in :func:`read`.
        notes: Assumptions and repairs are appended here.

    Raises:
        DataError: It is no NIfTI file, a time series, or its header is one that :func:`read` refuses.
        GeometryError: The place of the voxels is unknown or sheared.
    """
    header = read_header(_header_file(path))
    grid, shape, components = _content(header, path, notes)
    colors = 3 if header.kind in _COLORS else 1
    return grid, math.prod(shape[3:]) * components * colors


def read_header(path: Path) -> NiftiHeader:
    """Read a header.

    Raises:
        DataError: The file is no NIfTI file, ends within its header, or the header contradicts itself.
    """
    head, compressed = _first_bytes(path)
    found = _version(head)
    if found is None or (len(head) < found[1]):
        short = found is not None or len(head) < 348
        raise DataError(
            f"{path.name} {'ends within its header' if short else 'has no NIfTI header'}.",
            todo="Copy or export the file again." if short else "Export the scan as NIfTI or NRRD.",
        )
    order, size = found
    magic = head[344:347] if size == 348 else head[4:7]
    if magic not in (b"n+1", b"ni1", b"n+2", b"ni2"):
        raise DataError(
            f"{path.name} has no NIfTI header: it is an Analyze 7.5 file, or damaged.",
            "Analyze does not say which side is left.",
            "Export the scan as NIfTI or NRRD, for example from 3D Slicer.",
        )
    if size == 348:
        dims = struct.unpack_from(order + "8h", head, 40)
        intent, kind, bits = struct.unpack_from(order + "3h", head, 68)
        offset, slope, intercept = struct.unpack_from(order + "3f", head, 108)
        units, time_offset = head[123], struct.unpack_from(order + "f", head, 136)[0]
    else:
        dims = struct.unpack_from(order + "8q", head, 16)
        kind, bits = struct.unpack_from(order + "2h", head, 12)
        offset, slope, intercept = struct.unpack_from(order + "q2d", head, 168)
        units, intent = struct.unpack_from(order + "2i", head, 500)
        time_offset = struct.unpack_from(order + "d", head, 216)[0]
    _check_numbers(path, dims, kind, bits, offset)
    pair = magic[1:2] == b"i"
    first = 0 if pair else size + 4
    if not pair and 0 < offset < size:
        raise DataError(f"{path.name} says that its voxels begin at byte {offset:g}, in its header.", todo=_AGAIN)
    return NiftiHeader(
        pair=pair,
        dims=dims,
        kind=kind,
        bits=bits,
        offset=int(offset) or first,
        slope=slope,
        intercept=intercept,
        units=units,
        intent=intent,
        time_offset=time_offset,
        place=nifti_place.read_place(head, order, dims, units),
        compressed=compressed,
        order=order,
    )


def _first_bytes(path: Path) -> tuple[bytes, bool]:
    require_file(path)
    with path.open("rb") as file:
        head = file.read(_LONGEST)
    if head[:2] != _GZIP:
        return head[:540], False
    try:
        return _unpacked(head, 540), True
    except zlib.error as error:
        raise DataError(f"{path.name} cannot be unpacked ({error}).", todo=_AGAIN) from error


def _unpacked(packed: bytes, count: int) -> bytes:
    """Return the first bytes of one or several gzip streams, whose own headers may be of any length."""
    found = b""
    while packed and len(found) < count:
        stream = zlib.decompressobj(31)
        found += stream.decompress(packed, count - len(found))
        if not stream.eof and len(found) < 348:
            raise zlib.error("the packed header has no end")
        packed = stream.unused_data.lstrip(b"\0")
    return found


def _version(head: bytes) -> tuple[str, int] | None:
    """Return byte order and size of a header; ``None`` where it is none."""
    if len(head) < 4:
        return None
    for order in "<>":
        size = struct.unpack_from(order + "i", head)[0]
        if size in (348, 540):
            return order, size
    return None


def _header_file(path: Path) -> Path:
    return _partner(path, ".img", ".hdr") if ".img" in path.name.lower()[-7:] else path


def _partner(path: Path, ending: str, other: str) -> Path:
    """Return the other file of a pair, packed or not."""
    stem = path.name[: path.name.lower().rindex(ending)]
    names = [f"{stem}{other}{packed}" for packed in ("", ".gz")]
    found = next((name for name in names if (path.parent / name).exists()), None)
    if found is None:
        raise DataError(
            f"{path.name} is one file of a pair, and {names[0]} is not beside it.", todo="Copy both files together."
        )
    return beside(path, found)


def _check_numbers(path: Path, dims: tuple[int, ...], kind: int, bits: int, offset: float) -> None:
    """Refuse a header that promises what no file can hold."""
    if not 1 <= dims[0] <= 7 or min(dims[1 : 1 + dims[0]]) < 1:
        size = " x ".join(map(str, dims[1 : 1 + min(7, max(0, dims[0]))])) or "no"
        raise DataError(f"{path.name} says that it has {dims[0]} axes of {size} voxels.", todo=_AGAIN)
    wanted = 8 * int(_TYPES[kind][1]) if kind in _TYPES else 8 * _COLORS[kind] if kind in _COLORS else None
    if kind not in _COMPLEX and wanted != bits:
        raise DataError(
            f"{path.name} has voxels of the type {kind} with {bits} bits.", "There is no such type.", _AGAIN
        )
    if not 0 <= offset < 2**31:
        raise DataError(f"{path.name} says that its voxels begin at byte {offset:g}.", todo=_AGAIN)


def _content(header: NiftiHeader, path: Path, notes: list[Note]) -> tuple[Grid, tuple[int, ...], int]:
    """Return the grid, the lengths of the first axes, up to the fourth, and the number of components behind them."""
    if not np.isfinite((header.slope, header.intercept)).all():
        raise DataError(
            f"{path.name} is corrupt: its scale factor is {header.slope:g} and its offset {header.intercept:g}.",
            "The intensities are unknown.",
            "Export the scan again.",
        )
    if header.kind in _COMPLEX:
        raise DataError(f"{path.name} holds complex numbers.", todo="Export magnitude images.")
    shape, components = _axes(header, path)
    grid = _grid(header, shape, path, notes)
    if len(shape) == 4:
        fourth_axis(path.name, shape[3], _time(header), notes)
    return grid, shape, components


def _axes(header: NiftiHeader, path: Path) -> tuple[tuple[int, ...], int]:
    """Return the lengths of the first axes, up to the fourth, and the number of components behind them."""
    shape = header.shape
    if len(shape) == 5 and shape[3] == 1:
        return shape[:3], shape[4]
    if not 2 <= len(shape) <= 4:
        raise DataError(
            f"{path.name} has {len(shape)} axes.",
            todo="Give a 2-D picture, a 3-D scan, or a 4-D file whose fourth axis is the channel.",
        )
    return shape, 1


def _grid(header: NiftiHeader, shape: tuple[int, ...], path: Path, notes: list[Note]) -> Grid:
    spacing, origin, direction = nifti_place.matrix(header.place, path.name, notes)
    axes = min(3, len(shape))
    if axes == 2 and shear_of(direction[:2, :2]) > SHEAR_LIMIT:  # an oblique slice without its third axis
        direction = np.eye(3)
    return grid_of(
        path.name, shape[:axes][::-1], spacing[:axes].tolist(), origin[:axes].tolist(), direction[:axes, :axes], notes
    )


def _voxels(path: Path, header: NiftiHeader, count: int, notes: list[Note]) -> NDArray[Any]:
    """Return ``count`` voxels, their colours first."""
    colors = _COLORS.get(header.kind, 0)
    dtype = np.dtype(np.uint8 if colors else header.order + _TYPES[header.kind])
    with path.open("rb") as file:
        packed = file.read(2) == _GZIP
    before, skip = (0, header.offset) if packed else (header.offset, 0)
    array = read_payload(path, before, "gzip" if packed else "raw", dtype, count * max(1, colors), notes, skip)
    if colors:
        array = np.moveaxis(array.reshape(-1, colors), -1, 0)[:3]  # the fourth is transparency
    if header.slope not in (0.0, 1.0) or (header.slope and header.intercept):
        array = array.astype(np.float32)
        array *= header.slope
        array += header.intercept
    return np.ascontiguousarray(array)


def _time(header: NiftiHeader) -> str:
    """Return what in the header says that the fourth axis is time or frequency; empty where nothing does.

    A unit alone says nothing: ITK writes seconds and a step of one into every file.
    """
    step, unit = header.place.pixdim[4], header.units & 56
    if unit in _TIME_UNITS and math.isfinite(step) and step not in (0.0, 1.0):
        return f"{step:g} {_TIME_UNITS[unit]} from one to the next"
    if unit in _SPECTRAL_UNITS:
        return f"a fourth axis in {_SPECTRAL_UNITS[unit]}"
    if header.intent == _TIME_SERIES:
        return "the intent of a time series"
    return f"a first frame at {header.time_offset:g}" if header.time_offset else ""
