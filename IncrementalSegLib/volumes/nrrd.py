"""NRRD files: the header as text, its voxels behind it or in one file beside it.

The header is understood here and never by ITK, which some headers crash.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from IncrementalSegLib.errors import DataError
from IncrementalSegLib.volumes import nrrd_axes
from IncrementalSegLib.volumes.notes import Note
from IncrementalSegLib.volumes.payload import Encoding, beside, read_payload, require_file
from IncrementalSegLib.volumes.raw import RawImage, fourth_axis, grid_of
from IncrementalSegLib.volumes.volume import Grid

ENDINGS = (".nrrd", ".nhdr")
_LONGEST = 1 << 20
"""Bytes of the longest header; 3D Slicer writes about 500 for a segment."""
_MAGIC = re.compile(rb"NRRD\d{4}\r?\n|NRRD00\.01\r?\n")
_AGAIN = "The file is damaged: copy or export it again."
_TYPES = {
    "i1": "signed char|int8|int8_t",
    "u1": "uchar|unsigned char|uint8|uint8_t",
    "i2": "short|short int|signed short|signed short int|int16|int16_t",
    "u2": "ushort|unsigned short|unsigned short int|uint16|uint16_t",
    "i4": "int|signed int|int32|int32_t",
    "u4": "uint|unsigned int|uint32|uint32_t",
    "i8": "longlong|long long|long long int|signed long long|signed long long int|int64|int64_t",
    "u8": "ulonglong|unsigned long long|unsigned long long int|uint64|uint64_t",
    "f4": "float",
    "f8": "double",
}
_TYPE_OF = {name: code for code, names in _TYPES.items() for name in names.split("|")}
_ENCODINGS: dict[str, Encoding] = {
    "raw": "raw", "gzip": "gzip", "gz": "gzip", "bzip2": "bzip2", "bz2": "bzip2",
    "ascii": "ascii", "text": "ascii", "txt": "ascii",
}  # fmt: skip
_OTHER_NAMES = {"datafile": "data file", "lineskip": "line skip", "byteskip": "byte skip", "centerings": "centers"}
_FIELDS = {
    "dimension", "type", "encoding", "endian", "sizes", "data file", "line skip", "byte skip", "kinds", "labels",
    "units", "spacings", "thicknesses", "axis mins", "axismins", "axis maxs", "axismaxs", "centers", "space",
    "space dimension", "space units", "space origin", "space directions", "measurement frame", "content", "number",
    "block size", "blocksize", "min", "max", "old min", "oldmin", "old max", "oldmax", "sample units", "sampleunits",
}  # fmt: skip


@dataclass(frozen=True)
class NrrdHeader:
    """A header as text.

    Attributes:
        fields: The fields of the format, by their names in small letters.
        pairs: The free keys and values.
        length: Bytes up to the first voxel.
    """

    fields: Mapping[str, str]
    pairs: Mapping[str, str]
    length: int


def read_header(path: Path) -> NrrdHeader:
    """Read a header without a voxel.

    Raises:
        DataError: It is no NRRD header, or has a line that is none of the format's.
    """
    require_file(path)
    with path.open("rb") as file:
        head = file.read(_LONGEST)
    if not _MAGIC.match(head):
        raise DataError(
            f"{path.name} cannot be read (it is in no known format, or damaged).",
            todo="Use NIfTI, NRRD, MHA, a DICOM folder, PNG or JPEG, or export the file again.",
        )
    end = re.search(rb"\n\r?\n", head)
    if end is None and len(head) == _LONGEST:
        raise DataError(f"{path.name} has a header without an end.", todo=_AGAIN)
    length = end.end() if end else len(head)
    fields: dict[str, str] = {}
    pairs: dict[str, str] = {}
    for line in head[: end.start() if end else length].decode("utf-8", "replace").splitlines()[1:]:
        _take(line, fields, pairs, path)
    return NrrdHeader(fields, pairs, length)


def layers(header: NrrdHeader, path: Path) -> int:
    """Return the number of samples at each voxel, which of a segmentation are its layers.

    Raises:
        DataError: The axes cannot be understood.
    """
    axes = nrrd_axes.read_axes(header.fields, header.pairs, path.name)
    return 1 if axes.other is None else axes.sizes[axes.other]


def read(path: Path, notes: list[Note]) -> RawImage:
    """Read an image or segmentation with its text fields.

    Args:
        path: ``.nrrd`` or ``.nhdr``.
        notes: Assumptions and repairs are appended here.

    Raises:
        DataError: Unreadable, truncated, a time series, or larger than the free memory.
        GeometryError: Impossible spacing, or sheared directions.
    """
    header = read_header(path)
    axes = nrrd_axes.read_axes(header.fields, header.pairs, path.name)
    other = axes.other
    grid = _grid(header, axes, path, notes)
    array = _voxels(path, header, axes.sizes, notes).reshape(axes.sizes[::-1])
    if other is not None:
        array = np.moveaxis(array, len(axes.sizes) - 1 - other, 0)
    return RawImage(array.reshape(-1, *grid.shape), grid, header.pairs)


def read_grid(path: Path, notes: list[Note]) -> tuple[Grid, int]:
    """Read where the voxels lie, and the number of channels, without reading a voxel.

    Args:
        path: As in :func:`read`.
        notes: Assumptions and repairs are appended here.

    Raises:
        DataError: It is no NRRD header, a time series, or has axes that no scan has.
        GeometryError: Impossible spacing, or sheared directions.
    """
    header = read_header(path)
    axes = nrrd_axes.read_axes(header.fields, header.pairs, path.name)
    return _grid(header, axes, path, notes), 1 if axes.other is None else axes.sizes[axes.other]


def _grid(header: NrrdHeader, axes: nrrd_axes.Axes, path: Path, notes: list[Note]) -> Grid:
    if axes.other is not None and not axes.components and "Segment0_ID" not in header.pairs:
        fourth_axis(path.name, axes.sizes[axes.other], axes.time, notes)
    sizes = [axes.sizes[axis] for axis in axes.spatial]
    return grid_of(path.name, sizes[::-1], axes.spacing, axes.origin, axes.direction, notes)


def _take(line: str, fields: dict[str, str], pairs: dict[str, str], path: Path) -> None:
    """Put one line of a header into its table."""
    if line.startswith("#"):
        return
    key, mark, value = line.partition(":=")
    if mark and ": " not in key:
        pairs[key] = value.replace("\\n", "\n").replace("\\\\", "\\")
        return
    key, mark, value = line.partition(":")
    key = " ".join(key.split()).lower()
    key = _OTHER_NAMES.get(key, key)
    if not mark or key not in _FIELDS or key in fields:
        what = "twice" if key in fields else "which is not a field of a NRRD file"
        raise DataError(f"{path.name} has the line {line[:40]!r} in its header, {what}.", todo=_AGAIN)
    fields[key] = value.strip()


def _voxels(path: Path, header: NrrdHeader, sizes: tuple[int, ...], notes: list[Note]) -> NDArray[Any]:
    fields = header.fields
    kind, encoding = fields.get("type", "").lower(), _ENCODINGS.get(fields.get("encoding", "").lower())
    if kind not in _TYPE_OF or encoding is None:
        raise DataError(
            f"{path.name} has voxels of the type {kind[:40]!r} in the encoding {fields.get('encoding', '')[:40]!r}.",
            todo="Export it with a type of numbers, raw or packed by gzip.",
        )
    order = {"big": ">", "little": "<"}.get(fields.get("endian", "").lower(), "")
    dtype = np.dtype(f"{order}{_TYPE_OF[kind]}")
    if not order and dtype.itemsize > 1 and encoding != "ascii":
        raise DataError(f"{path.name} does not say the order of its bytes (endian).", todo=_AGAIN)
    data = beside(path, fields["data file"]) if "data file" in fields else path
    offset = 0 if data != path else header.length
    lines, skipped = _whole(fields, "line skip", path), _whole(fields, "byte skip", path)
    if lines or (skipped > 0 and encoding not in ("raw", "ascii")) or (skipped < 0 and encoding != "raw"):
        raise DataError(f"{path.name} skips lines or bytes before its voxels.", todo="Export it as one file.")
    offset = -1 if skipped < 0 else offset + skipped
    return read_payload(data, offset, encoding, dtype, math.prod(sizes), notes)


def _whole(fields: Mapping[str, str], name: str, path: Path) -> int:
    text = fields.get(name, "0")
    if not re.fullmatch(r"-1|\d{1,12}", text):
        raise DataError(f"{path.name} has the {name} {text[:40]!r}.", todo=_AGAIN)
    return int(text)
