"""Read a NRRD file of the worker slab by slab, so that Slicer stays free meanwhile."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

SLAB_BYTES = 2 << 20
"""Amount unpacked at once: about 10 ms."""

_TYPES = {"unsigned char": "u1", "signed char": "i1", "unsigned short": "u2", "short": "i2"}
_TYPES |= {"unsigned int": "u4", "int": "i4", "float": "f4", "double": "f8"}
_TYPES |= {f"{kind}{8 * size}": f"{kind[0]}{size}" for kind in ("uint", "int") for size in (1, 2, 4)}
_BLOCK = 1 << 16


class NrrdSlabs:
    """An open NRRD file.

    Args:
        path: The file; its voxels lie in it, three axes in millimetres and perhaps components before them.

    Attributes:
        fields: What the header says, with the keys of its own fields and of those that a program added.
        size: Voxels along i, j, k.
        components: Numbers per voxel.
        dtype: Type of the numbers.
        matrix: From voxel indices to millimetres, RAS.

    Raises:
        OSError: The file cannot be opened.
        KeyError: The header lacks a field, or has one that is not understood.
        ValueError: The header holds something else than numbers where they are needed.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        try:
            self._readHead()
        except Exception:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_args: object) -> None:
        self._file.close()

    def slabs(self) -> Iterator[tuple[int, NDArray[Any]]]:
        """Yield the index k of the first slice of each slab, and its voxels ``(k, j, i, components)``.

        Raises:
            EOFError: The file ends too early.
            zlib.error: The file is damaged.
        """
        shape = (self.size[1], self.size[0], self.components)
        slice_bytes = math.prod(shape) * self.dtype.itemsize
        thickness = max(1, SLAB_BYTES // slice_bytes)
        unpacker = zlib.decompressobj(wbits=31) if self._packed else None  # 31: with the head of a .gz file
        for first in range(0, self.size[2], thickness):
            count = min(thickness, self.size[2] - first)
            data = self._read(count * slice_bytes, unpacker)
            yield first, np.frombuffer(data, self.dtype).reshape(count, *shape)
        while unpacker is not None and not unpacker.eof:  # compares the checksum
            self._unpack(unpacker, 1)

    def _readHead(self) -> None:
        lines = [line.decode("utf-8").strip() for line in iter(lambda: self._file.readline().strip(), b"")]
        pairs = (line.partition(":") for line in lines if not line.startswith("#"))
        self.fields = {key.strip(): value.removeprefix("=").strip() for key, _, value in pairs}
        sizes = [int(size) for size in self.fields["sizes"].split()]
        self.components = sizes[0] if len(sizes) == 4 else 1
        self.size = (sizes[-3], sizes[-2], sizes[-1])
        order = ">" if self.fields.get("endian") == "big" else "<"
        self.dtype: np.dtype[Any] = np.dtype(order + _TYPES[self.fields["type"]])
        self._packed = {"gzip": True, "raw": False}[self.fields["encoding"]]
        axes = [axis for axis in self.fields["space directions"].split() if axis != "none"]
        columns = [_numbers(axis) for axis in (*axes, self.fields["space origin"])]
        sign = {"left-posterior-superior": -1.0, "right-anterior-superior": 1.0}[self.fields["space"]]
        self.matrix = np.eye(4)
        self.matrix[:3] = np.array(columns).T * [[sign], [sign], [1.0]]

    def _read(self, count: int, unpacker: Any) -> bytes:
        if unpacker is None:
            data = self._file.read(count)
            if len(data) < count:
                raise EOFError
            return data
        unpacked = bytearray()
        while len(unpacked) < count:
            unpacked += self._unpack(unpacker, count - len(unpacked))
        return bytes(unpacked)

    def _unpack(self, unpacker: Any, most: int) -> bytes:
        packed = unpacker.unconsumed_tail or self._file.read(_BLOCK)
        if not packed or unpacker.eof:
            raise EOFError
        return unpacker.decompress(packed, most)


def _numbers(text: str) -> list[float]:
    x, y, z = (float(part) for part in text.strip("()").split(","))
    return [x, y, z]
