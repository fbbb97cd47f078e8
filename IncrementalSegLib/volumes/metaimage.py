"""MetaImage files (``.mha``, ``.mhd``): the header as text, its voxels behind it or in one file beside it.

The header is understood here and never by ITK, which some headers crash.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from IncrementalSegLib.errors import DataError, GeometryError
from IncrementalSegLib.volumes.notes import Note
from IncrementalSegLib.volumes.payload import Encoding, beside, read_payload, require_file
from IncrementalSegLib.volumes.raw import RawImage, fourth_axis, grid_of
from IncrementalSegLib.volumes.volume import Grid

ENDINGS = (".mha", ".mhd")
_LONGEST = 1 << 18
"""Bytes of the longest header."""
_AGAIN = "The file is damaged: copy or export it again."
_TYPES = {
    "MET_CHAR": "i1", "MET_UCHAR": "u1", "MET_SHORT": "i2", "MET_USHORT": "u2", "MET_INT": "i4", "MET_UINT": "u4",
    "MET_LONG": "i4", "MET_ULONG": "u4", "MET_LONG_LONG": "i8", "MET_ULONG_LONG": "u8", "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}  # fmt: skip


def read(path: Path, notes: list[Note]) -> RawImage:
    """Read an image with its text fields.

    Args:
        path: ``.mha`` or ``.mhd``.
        notes: Assumptions and repairs are appended here.

    Raises:
        DataError: Unreadable, truncated, or larger than the free memory.
        GeometryError: Impossible spacing, or sheared directions.
    """
    fields, length = _header(path)
    sizes = _sizes(fields, path)
    grid, components = _grid(fields, sizes, path, notes), _components(fields, sizes, path)
    if len(sizes) == 4:
        fourth_axis(path.name, sizes[3], "", notes)
    array = _voxels(path, fields, length, math.prod(sizes) * components, notes)
    if components > 1:
        array = np.moveaxis(array.reshape(-1, components), -1, 0)
    return RawImage(array.reshape(-1, *grid.shape), grid, fields)


def read_grid(path: Path, notes: list[Note]) -> tuple[Grid, int]:
    """Read where the voxels lie, and the number of channels, without reading a voxel.

    Args:
        path: As in :func:`read`.
        notes: Assumptions and repairs are appended here.

    Raises:
        DataError: It is no MetaImage header, or has axes that no scan has.
        GeometryError: Impossible spacing, or sheared directions.
    """
    fields, _ = _header(path)
    sizes = _sizes(fields, path)
    return _grid(fields, sizes, path, notes), math.prod(sizes[3:]) * _components(fields, sizes, path)


def _header(path: Path) -> tuple[Mapping[str, str], int]:
    """Return the fields, and the number of bytes up to the first voxel."""
    require_file(path)
    with path.open("rb") as file:
        head = file.read(_LONGEST)
    fields: dict[str, str] = {}
    begin = 0
    for line in head.splitlines(keepends=True):
        begin += len(line)
        name, mark, value = line.decode("utf-8", "replace").partition("=")
        if not mark and name.strip():
            break
        fields[name.strip()] = value.strip()
        if "ElementDataFile" in fields:
            return fields, begin
    raise DataError(
        f"{path.name} cannot be read (it is in no known format, or damaged).",
        todo="Use NIfTI, NRRD, MHA, a DICOM folder, PNG or JPEG, or export the file again.",
    )


def _sizes(fields: Mapping[str, str], path: Path) -> tuple[int, ...]:
    words, dimension = fields.get("DimSize", "").split(), fields.get("NDims", "")
    if dimension != str(len(words)) or not all(re.fullmatch(r"\d{1,12}", word) for word in words):
        said = f"{path.name} says that it has {dimension[:20]!r} axes of {' x '.join(words)[:80] or 'no'} voxels."
        raise DataError(said, todo=_AGAIN)
    if not 2 <= len(words) <= 4:
        raise DataError(f"{path.name} has {len(words)} axes.", todo="Give a 2-D picture or a 3-D scan.")
    sizes = tuple(int(word) for word in words)
    if 0 in sizes:
        raise DataError(f"{path.name} holds no voxel.", todo="Export the file again.")
    return sizes


def _grid(fields: Mapping[str, str], sizes: tuple[int, ...], path: Path, notes: list[Note]) -> Grid:
    axes = min(3, len(sizes))
    spacing = _numbers(fields, ("ElementSpacing", "ElementSize"), len(sizes), path) or (1.0,) * len(sizes)
    origin = _numbers(fields, ("Offset", "Position", "Origin"), len(sizes), path) or (0.0,) * len(sizes)
    turn = _numbers(fields, ("TransformMatrix", "Rotation", "Orientation"), len(sizes) ** 2, path)
    direction = np.array(turn).reshape(len(sizes), -1).T if turn else np.eye(len(sizes))
    if fields.get("DistanceUnits", "mm").lower() not in ("mm", "?"):
        raise GeometryError(f"{path.name} has the units {fields['DistanceUnits'][:20]!r}.", todo="Export it in mm.")
    return grid_of(path.name, sizes[:axes][::-1], spacing[:axes], origin[:axes], direction[:axes, :axes], notes)


def _components(fields: Mapping[str, str], sizes: tuple[int, ...], path: Path) -> int:
    channels = fields.get("ElementNumberOfChannels", "1")
    if not re.fullmatch(r"[1-9]\d{0,2}", channels) or (channels != "1" and len(sizes) == 4):
        raise DataError(f"{path.name} has {len(sizes)} axes and {channels[:20]} components per voxel.", todo=_AGAIN)
    return int(channels)


def _numbers(fields: Mapping[str, str], names: tuple[str, ...], count: int, path: Path) -> tuple[float, ...]:
    """Return the numbers of the first field that is there; none where no field is."""
    name = next((name for name in names if name in fields), None)
    if name is None:
        return ()
    try:
        numbers = tuple(float(word) for word in fields[name].split()[: count + 1])
    except ValueError:
        numbers = ()
    if len(numbers) != count:
        raise GeometryError(f"{path.name} has the {name} {fields[name][:40]!r}, not {count} numbers.", todo=_AGAIN)
    return numbers


def _voxels(path: Path, fields: Mapping[str, str], length: int, count: int, notes: list[Note]) -> NDArray[Any]:
    kind = fields.get("ElementType", "").removesuffix("_ARRAY")
    named, skipped = fields["ElementDataFile"], fields.get("HeaderSize", "0")
    if kind not in _TYPES or not re.fullmatch(r"-1|\d{1,12}", skipped):
        seen = f"the type {kind[:40]!r} and the header size {skipped[:20]!r}"
        raise DataError(f"{path.name} has {seen}, which cannot be understood.", todo=_AGAIN)
    big = _flag(fields, "BinaryDataByteOrderMSB") or _flag(fields, "ElementByteOrderMSB")
    local = named.upper() == "LOCAL"
    data = path if local else beside(path, named)
    offset = length if local else int(skipped)
    packed = _flag(fields, "CompressedData")
    encoding: Encoding = "zlib" if packed else "raw" if _flag(fields, "BinaryData") else "ascii"
    if packed and offset < 0:
        raise DataError(f"{path.name} does not say where its packed voxels begin.", todo=_AGAIN)
    dtype = np.dtype(f"{'>' if big else '<'}{_TYPES[kind]}")
    return read_payload(data, offset, encoding, dtype, count, notes)


def _flag(fields: Mapping[str, str], name: str) -> bool:
    return fields.get(name, "False").lower().startswith(("t", "1"))
