"""Voxels of a file whose header is known: exactly as many bytes as it promises, packed or not."""

from __future__ import annotations

import bz2
import gzip
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from IncrementalSegLib.errors import DataError
from IncrementalSegLib.volumes.memory import bytes_text, require_memory
from IncrementalSegLib.volumes.notes import Note

Encoding = Literal["raw", "gzip", "zlib", "bzip2", "ascii"]

_BLOCK = 1 << 20
_MOST_PACKED = {"gzip": 1032, "zlib": 1032, "bzip2": 50_000, "ascii": 8}
"""Most bytes of voxels in one byte of a file."""
_BYTES_OF_A_WORD = 80
"""Memory of one number that is written as text while it is read."""
_COPY = "The file is incomplete or damaged: copy or export it again."


class _Stream(Protocol):
    def read(self, size: int, /) -> bytes: ...


def is_there(path: Path) -> bool:
    """Tell whether there is a file, a folder or a link, also one that leads nowhere; a name too long is not there."""
    try:
        path.lstat()
    except (OSError, ValueError):
        return False
    return True


def is_folder(path: Path) -> bool:
    """Tell whether a path is a folder; one that cannot be looked at, such as a name too long, is none."""
    try:
        return path.is_dir()
    except OSError:
        return False


@contextmanager
def permitted(path: Path) -> Iterator[None]:
    """Read a file or folder inside the block.

    Raises:
        DataError: There is no right to read it.
    """
    try:
        yield
    except PermissionError as error:
        raise DataError(f"You have no permission to read {path}.", todo="Change its rights, or copy it.") from error


def require_file(path: Path) -> int:
    """Return the size of a regular file.

    A named pipe, a device or a socket is never opened: reading it may wait for ever.

    Raises:
        DataError: Missing, no regular file, or without a byte.
    """
    try:
        with permitted(path):
            status = path.stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DataError(f"{path} is not there.", todo="Correct the path.") from error
    except (OSError, ValueError) as error:  # links in a circle, a name that is too long or holds a zero byte
        raise DataError(f"{path} is not there or cannot be looked at.", todo="Correct the path.") from error
    if not stat.S_ISREG(status.st_mode):
        raise DataError(f"{path.name} is not a file but a pipe, a device or a socket.", todo="Name a file or a folder.")
    if not status.st_size:
        raise DataError(f"{path.name} is empty (0 bytes).", todo="Copy or export the file again.")
    return status.st_size


def beside(header: Path, named: str) -> Path:
    """Return the file of voxels that a header names.

    Raises:
        DataError: It names several files, or one that does not lie beside it.
    """
    if not named or "%" in named or named.split(maxsplit=1)[0].upper() == "LIST":
        raise DataError(
            f"{header.name} keeps its voxels in several files ({named[:40]!r}).",
            "Such a header can name any file of this computer.",
            "Export the scan as one file, for example from 3D Slicer.",
        )
    data = header.parent / named
    try:
        own = Path(named).name == named and "\\" not in named and data.resolve().parent == header.resolve().parent
        missing = own and not data.exists()
    except (OSError, ValueError):  # a name that no file can have
        own = missing = False
    if not own:
        raise DataError(
            f"{header.name} names the file {named[:80]!r} for its voxels, which does not lie beside it.",
            "A header may only name a file of its own folder.",
            "Put both files into one folder, or export the scan as one file.",
        )
    if missing:
        raise DataError(
            f"{header.name} is only a header: its voxels are in {named}, which is not in the same folder.",
            todo="Copy both files, or export the scan as one file.",
        )
    return data


def read_payload(
    path: Path,
    offset: int,
    encoding: Encoding,
    dtype: np.dtype[Any],
    count: int,
    notes: list[Note],
    skip: int = 0,
) -> NDArray[Any]:
    """Read ``count`` samples and not a byte more.

    Args:
        path: The file.
        offset: Bytes before the first sample; -1: the samples are the last bytes of the file.
        encoding: How they are packed.
        dtype: The type of a sample, with its byte order.
        count: Number of samples that the header promises.
        notes: Receives a remark on data after them.
        skip: Bytes before the first sample in the unpacked stream.

    Returns:
        ``(count,)`` of ``dtype`` in the byte order of this machine.

    Raises:
        DataError: Fewer samples are there, the stream is damaged, or the memory does not suffice.
    """
    size, needed = require_file(path), count * dtype.itemsize
    if offset < 0:
        offset = max(0, size - needed)
    there = max(0, size - offset)
    if encoding == "raw" and there < needed:
        raise DataError(f"{path.name} is truncated: {there} of {needed} bytes are there.", todo=_COPY)
    if encoding != "raw" and needed > _MOST_PACKED[encoding] * size:
        raise DataError(
            f"{path.name} promises {bytes_text(needed)} of voxels and has only {bytes_text(size)}.", todo=_COPY
        )
    require_memory(path.name, count, _BYTES_OF_A_WORD if encoding == "ascii" else dtype.itemsize)
    try:
        with path.open("rb") as file:
            file.seek(offset)
            array = _numbers(path, file, dtype, count) if encoding == "ascii" else None
            if array is None:
                stream = _opened(file, encoding)
                while skip > 0 and (block := stream.read(min(_BLOCK, skip))):
                    skip -= len(block)
                array = _samples(path, stream, dtype, count, notes)
    except (EOFError, OSError, zlib.error) as error:
        if isinstance(error, PermissionError):
            raise
        raise DataError(
            f"{path.name} is truncated or damaged: it cannot be unpacked to its end.", todo=_COPY
        ) from error
    return array.astype(dtype.newbyteorder("="), copy=False)


def _opened(file: BinaryIO, encoding: Encoding) -> _Stream:
    if encoding == "gzip":
        return gzip.GzipFile(fileobj=file)
    if encoding == "bzip2":
        return bz2.BZ2File(file)
    return _Inflated(file) if encoding == "zlib" else file


def _samples(path: Path, stream: _Stream, dtype: np.dtype[Any], count: int, notes: list[Note]) -> NDArray[Any]:
    array = np.empty(count, dtype)
    view = array.view(np.uint8)
    done = 0
    while done < len(view):
        block = stream.read(min(_BLOCK, len(view) - done))
        if not block:
            raise DataError(f"{path.name} is truncated: {done} of {len(view)} bytes are there.", todo=_COPY)
        view[done : done + len(block)] = np.frombuffer(block, np.uint8)
        done += len(block)
    if stream.read(_BLOCK):  # the end of a packed stream compares its checksum
        said = f"{path.name} has more data than the {bytes_text(done)} of voxels in its header; the rest is not read."
        notes.append(Note("bytes-behind", said))
    return array


def _numbers(path: Path, file: BinaryIO, dtype: np.dtype[Any], count: int) -> NDArray[Any]:
    """Read numbers that are written as text."""
    words = file.read(64 * count).split()[:count]
    if len(words) < count:
        raise DataError(f"{path.name} is truncated: {len(words)} of {count} numbers are there.", todo=_COPY)
    try:
        numbers = np.array(words, dtype=np.float64)
    except ValueError as error:
        raise DataError(f"{path.name} holds voxels that are not numbers.", todo=_COPY) from error
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        if not ((numbers >= limits.min) & (numbers <= limits.max)).all():
            raise DataError(f"{path.name} holds voxels beyond {limits.min} to {limits.max}.", todo=_COPY)
    return numbers.astype(dtype)


class _Inflated:
    """A zlib or gzip stream that is unpacked only as far as somebody reads."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._unpacker, self._packed = file, zlib.decompressobj(47), b""

    def read(self, size: int, /) -> bytes:
        while not self._unpacker.eof:
            self._packed = self._packed or self._file.read(_BLOCK)
            if not self._packed:
                raise EOFError
            block = self._unpacker.decompress(self._packed, size)
            self._packed = self._unpacker.unconsumed_tail
            if block:
                return block
        return b""
