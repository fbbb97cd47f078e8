"""The pages of a TIFF file, followed before ITK sees them."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

from IncrementalSegLib.errors import DataError

_MOST_PAGES = 20_000
_PHOTOMETRIC, _SAMPLES_PER_PIXEL, _SHORT, _PALETTE = 262, 277, 3, 3


def layout_of(path: Path) -> tuple[int, bool]:
    """Return the numbers per pixel of the first page and whether they point into a palette; all pages are followed.

    Args:
        path: A TIFF or BigTIFF file.

    Raises:
        DataError: The directories are cut, never end, or are more than 20,000.
    """
    with path.open("rb") as file:
        head = file.read(8)
        order, big = ("<" if head[:2] == b"II" else ">"), 43 in (head[2], head[3])
        seen: set[int] = set()
        layout = (1, False)
        try:
            at = _number(file, order, big, at=8 if big else 4)
            while at and at not in seen and len(seen) < _MOST_PAGES:
                if not seen:
                    layout = _layout(file, order, big, at)
                seen.add(at)
                entries = _entries(file, order, big, at)
                at = _number(file, order, big, at + (8 + 20 * entries if big else 2 + 12 * entries))
        except (struct.error, OverflowError, OSError) as error:
            raise DataError(f"{path.name} is truncated.", todo="Copy or export it again.") from error
    if at:
        reason = "its pages never end" if at in seen else f"it has more than {_MOST_PAGES} pages"
        raise DataError(f"{path.name} cannot be read ({reason}).", todo="Copy or export it again.")
    return layout


def _number(file: BinaryIO, order: str, big: bool, at: int) -> int:
    """Return the offset that is stored at ``at``."""
    file.seek(at)
    return int(struct.unpack(order + "Q", file.read(8))[0] if big else struct.unpack(order + "I", file.read(4))[0])


def _entries(file: BinaryIO, order: str, big: bool, at: int) -> int:
    """Return how many entries the directory at ``at`` has."""
    file.seek(at)
    return int(struct.unpack(order + "Q", file.read(8))[0] if big else struct.unpack(order + "H", file.read(2))[0])


def _layout(file: BinaryIO, order: str, big: bool, at: int) -> tuple[int, bool]:
    """Return the samples per pixel of the directory at ``at``, and whether it has a palette."""
    count, width = _entries(file, order, big, at), 20 if big else 12
    fields: dict[int, int] = {}
    for _ in range(min(count, 1000)):
        entry = file.read(width)
        tag, kind = struct.unpack(order + "HH", entry[:4])
        if kind == _SHORT:
            fields[tag] = struct.unpack(order + "H", entry[12:14] if big else entry[8:10])[0]
    return fields.get(_SAMPLES_PER_PIXEL, 1), fields.get(_PHOTOMETRIC) == _PALETTE
