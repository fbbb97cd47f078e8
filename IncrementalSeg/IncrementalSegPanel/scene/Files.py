"""Files that appear only when they are whole, and scans as NRRD, written slab by slab."""

from __future__ import annotations

import sys
import uuid
import zlib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

_TYPES = {"i1": "int8", "u1": "uint8", "i2": "int16", "u2": "uint16", "i4": "int32", "u4": "uint32"}
_TYPES |= {"i8": "int64", "u8": "uint64", "f4": "float", "f8": "double"}


class Whole:
    """Write a file under another name that it loses when it is complete; what is incomplete is removed.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._temporary = path.with_name(f".{uuid.uuid4().hex}-{path.name}")
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._temporary.open("wb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_args: object) -> None:
        self._file.close()
        self._temporary.unlink(missing_ok=True)

    def write(self, data: bytes | memoryview) -> None:
        """Append bytes."""
        self._file.write(data)

    def complete(self) -> None:
        """Give the file its name."""
        self._file.close()
        self._temporary.replace(self._path)


class Nrrd(Whole):
    """Write a NRRD file.

    Args:
        path: The file.
        size: Voxels along i, j, k.
        dtype: Type of the voxels.
        matrix: From voxel indices to millimetres, RAS.
        components: Numbers per voxel.
        packed: Whether to compress.
        fields: What a program adds to the header, by key; no line breaks.
    """

    def __init__(
        self,
        path: Path,
        size: tuple[int, int, int],
        dtype: np.dtype[Any],
        matrix: NDArray[np.float64],
        components: int = 1,
        packed: bool = False,
        fields: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        super().__init__(path)
        self._packer = zlib.compressobj(1, wbits=31) if packed else None  # 31: with the head of a .gz file
        added = "".join(f"{key}:={text}\n" for key, text in fields.items())
        self.write(f"{_header(size, dtype, matrix, components, packed)}{added}\n".encode())

    def writeVoxels(self, slab: NDArray[Any]) -> None:
        """Append voxels."""
        data = memoryview(np.ascontiguousarray(slab)).cast("B")
        self.write(data if self._packer is None else self._packer.compress(data))

    def complete(self) -> None:
        """Give the file its name."""
        if self._packer is not None:
            self.write(self._packer.flush())
        super().complete()


def _header(
    size: tuple[int, int, int], dtype: np.dtype[Any], matrix: NDArray[np.float64], components: int, packed: bool
) -> str:
    lps = matrix * np.array([[-1.0], [-1.0], [1.0], [1.0]])
    axes = [f"({','.join(f'{value:.17g}' for value in lps[:3, axis])})" for axis in range(3)]
    several = components > 1
    fields = {
        "type": _TYPES[dtype.str[1:]],
        "dimension": 4 if several else 3,
        "space": "left-posterior-superior",
        "sizes": " ".join(str(count) for count in ([components] if several else []) + list(size)),
        "space directions": " ".join((["none"] if several else []) + axes),
        "kinds": " ".join((["vector"] if several else []) + ["domain"] * 3),
        "endian": sys.byteorder,
        "encoding": "gzip" if packed else "raw",
        "space origin": f"({','.join(f'{value:.17g}' for value in lps[:3, 3])})",
    }
    return "NRRD0004\n" + "".join(f"{key}: {value}\n" for key, value in fields.items())
