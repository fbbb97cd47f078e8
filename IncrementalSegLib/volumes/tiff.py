"""The pages of a TIFF file, followed before ITK sees them."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from IncrementalSegLib.errors import DataError

_MOST_PAGES = 20_000
_PHOTOMETRIC, _ORIENTATION, _SAMPLES_PER_PIXEL, _SHORT, _PALETTE = 262, 274, 277, 3, 3


@dataclass(frozen=True)
class Layout:
    """The pixels of a picture as its file stores them.

    Attributes:
        samples: Numbers per pixel.
        palette: They point into a palette of colours.
        orientations: How the pages are turned, as EXIF counts it: 1 is upright.
    """

    samples: int
    palette: bool
    orientations: frozenset[int] = frozenset({1})


def layout_of(path: Path) -> Layout:
    """Return the layout of the first page and the orientations of all, which are followed to the last.

    Args:
        path: A TIFF or BigTIFF file.

    Raises:
        DataError: The directories are cut, never end, or are more than 20,000.
    """
    with path.open("rb") as file:
        order, big = _format(file)
        pages: dict[int, dict[int, int]] = {}
        try:
            at = _number(file, order, big, at=8 if big else 4)
            while at and at not in pages and len(pages) < _MOST_PAGES:
                pages[at] = _fields(file, order, big, at)
                entries = _entries(file, order, big, at)
                at = _number(file, order, big, at + (8 + 20 * entries if big else 2 + 12 * entries))
        except (struct.error, OverflowError, OSError) as error:
            raise DataError(f"{path.name} is truncated.", todo="Copy or export it again.") from error
    if at:
        reason = "its pages never end" if at in pages else f"it has more than {_MOST_PAGES} pages"
        raise DataError(f"{path.name} cannot be read ({reason}).", todo="Copy or export it again.")
    first = next(iter(pages.values()), {})
    turned = frozenset(fields.get(_ORIENTATION, 1) for fields in pages.values())
    return Layout(first.get(_SAMPLES_PER_PIXEL, 1), first.get(_PHOTOMETRIC) == _PALETTE, turned)


def first_orientation(file: BinaryIO) -> int:
    """Return the orientation of the first page; also of an EXIF block, which is a TIFF file without pixels.

    Raises:
        struct.error: It is cut.
    """
    order, big = _format(file)
    return _fields(file, order, big, _number(file, order, big, at=8 if big else 4)).get(_ORIENTATION, 1)


def _format(file: BinaryIO) -> tuple[str, bool]:
    """Return the byte order, and whether the file is a BigTIFF."""
    head = file.read(4)
    return "<" if head[:2] == b"II" else ">", 43 in head[2:]


def _number(file: BinaryIO, order: str, big: bool, at: int) -> int:
    """Return the offset that is stored at ``at``."""
    file.seek(at)
    return int(struct.unpack(order + "Q", file.read(8))[0] if big else struct.unpack(order + "I", file.read(4))[0])


def _entries(file: BinaryIO, order: str, big: bool, at: int) -> int:
    """Return how many entries the directory at ``at`` has."""
    file.seek(at)
    return int(struct.unpack(order + "Q", file.read(8))[0] if big else struct.unpack(order + "H", file.read(2))[0])


def _fields(file: BinaryIO, order: str, big: bool, at: int) -> dict[int, int]:
    """Return the entries of the directory at ``at`` that are one short number."""
    count, width = _entries(file, order, big, at), 20 if big else 12
    fields: dict[int, int] = {}
    for _ in range(min(count, 1000)):
        entry = file.read(width)
        tag, kind = struct.unpack(order + "HH", entry[:4])
        if kind == _SHORT:
            fields[tag] = struct.unpack(order + "H", entry[12:14] if big else entry[8:10])[0]
    return fields
