"""The orientation of a picture (EXIF): cameras store the rows as the sensor has them and say how to turn them."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from IncrementalSegLib.volumes.tiff import first_orientation

_TURNS: dict[int, tuple[bool, tuple[int, ...]]] = {
    2: (False, (-1,)), 3: (False, (-2, -1)), 4: (False, (-2,)), 5: (True, ()), 6: (True, (-1,)), 7: (True, (-2, -1)),
    8: (True, (-2,)),
}  # fmt: skip
"""Orientation -> whether rows and columns are exchanged, and the axes that are flipped afterwards."""
_MARK = b"Exif\0\0"


def orientation_of(path: Path) -> int:
    """Return the EXIF orientation of a JPEG or PNG file, 1 (upright) to 8; 1 where the file says nothing."""
    with path.open("rb") as file:
        try:
            block = _of_jpeg(file) if file.read(2) == b"\xff\xd8" else _of_png(file)
            found = first_orientation(io.BytesIO(block)) if block else 1
        except (struct.error, OverflowError, OSError):  # damaged: the pixels are what counts
            return 1
    return found if found in _TURNS else 1


def upright(array: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Return pixels ``(..., H, W)`` as viewers show them."""
    if orientation not in _TURNS:
        return array
    exchanged, flips = _TURNS[orientation]
    return np.ascontiguousarray(np.flip(np.swapaxes(array, -1, -2) if exchanged else array, flips))


def _of_jpeg(file: BinaryIO) -> bytes:
    """Return the EXIF block of a JPEG, behind its first mark; empty where there is none."""
    while True:
        mark = file.read(2)
        while mark == b"\xff\xff":  # filling
            mark = mark[1:] + file.read(1)
        if mark[:1] != b"\xff" or mark[1:] in (b"\xd9", b"\xda"):
            return b""
        (size,) = struct.unpack(">H", file.read(2))
        content = file.read(size - 2) if mark[1:] == b"\xe1" else b""
        if content.startswith(_MARK):
            return content[len(_MARK) :]
        if not content:
            file.seek(size - 2, 1)


def _of_png(file: BinaryIO) -> bytes:
    """Return the EXIF block of a PNG; empty where there is none."""
    file.seek(8)
    while len(head := file.read(8)) == 8:
        size, kind = struct.unpack(">I4s", head)
        if kind == b"eXIf":
            return file.read(size)
        file.seek(size + 4, 1)
    return b""
