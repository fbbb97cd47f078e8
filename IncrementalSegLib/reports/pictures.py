"""Slices with contours, as pixels and as PNG.

NumPy and the standard library only: the panel draws its thumbnails here before anything is installed.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from IncrementalSegLib.files import write_bytes

if TYPE_CHECKING:
    from IncrementalSegLib.reports.slices import SliceRow

SIDE = 384
"""Longer side of a picture in pixels: twice what a panel shows, for fine screens."""

TRUTH = (255, 181, 46)
"""Amber: what a person outlined.  Every kind of colour vision tells Okabe and Ito's amber from their blue."""

FOUND = (86, 180, 233)
"""Blue: what a model found."""

Picture = NDArray[np.uint8]
Field = tuple[tuple[float, float], tuple[float, float]]
"""First and last row, first and last column of what is shown, in pixels of the slice."""

_DASH = 6
_CROSS = ((0, 1), (1, 0), (1, 1), (1, 2), (2, 1))
_SQUARE = (*_CROSS, (0, 0), (0, 2), (2, 0), (2, 2))


@dataclass(frozen=True)
class Contour:
    """The outline of a mask.

    Attributes:
        mask: ``(H, W)`` bool.
        color: Red, green, blue, each 0..255.
        dashed: Tells it from another one where colours cannot.
    """

    mask: NDArray[np.bool_]
    color: Sequence[float]
    dashed: bool = False


def outline_picture(
    image: NDArray[np.generic],
    contours: Sequence[Contour],
    aspect: float = 1.0,
    side: int = SIDE,
    *,
    window: tuple[float, float] | None = None,
    field: Field | None = None,
) -> Picture:
    """Draw a slice in grey with contours over it, the later ones on top.

    Args:
        image: ``(H, W)``, any real dtype, or RGB ``(H, W, 3)`` in 0..255 or 0..1.
        contours: Masks on the same pixels.
        aspect: Height of a pixel divided by its width.
        side: Longer side of the picture in pixels.
        window: Values shown black and white; by default the 0.5th and the 99.5th percentile.
        field: Part to show, black where it leaves the slice; by default the slice.

    Returns:
        ``(H', W', 3)``.
    """
    (top, bottom), (left, right) = field or tuple((0.0, float(length)) for length in image.shape[:2])
    scale = side / max((bottom - top) * aspect, right - left)
    height, width = max(1, round((bottom - top) * aspect * scale)), max(1, round((right - left) * scale))

    def sampled(values: NDArray[np.float32], finer: int = 1) -> NDArray[np.float32]:
        rows = _weights(finer * height, top, bottom, image.shape[0])
        columns = _weights(finer * width, left, right, image.shape[1])
        down, across = _used(rows), _used(columns)  # of a small field; large products wait for other threads
        return np.asarray(rows[:, down] @ values[..., down, across] @ columns[:, across].T)

    channels = np.moveaxis(np.atleast_3d(_grey(image, window)), -1, 0)
    picture = np.moveaxis(np.broadcast_to(sampled(channels), (3, height, width)), 0, -1)
    down, across = np.indices((height, width)) // _DASH
    gaps = ((down + across) % 2 == 1)[..., None]
    for contour in contours:
        inside = sampled(contour.mask.astype(np.float32), 2) >= 0.5  # twice as fine, for a smooth line
        line = inside & ~_eroded(inside, 2 * max(2, round(side / 100)))
        cover = line.reshape(height, 2, width, 2).mean(axis=(1, 3))[..., None]
        cover = np.where(gaps, 0.0, cover) if contour.dashed else cover
        picture = (1 - cover) * picture + cover * np.divide(contour.color, 255)
    return np.asarray(np.rint(255 * np.clip(picture, 0, 1)), dtype=np.uint8)


def outlined(row: SliceRow, column: int | None = 0, side: int = SIDE) -> Picture:
    """Draw a slice with the truth as a dashed amber contour and one prediction as a solid blue one.

    Args:
        row: The slice.
        column: Index of the prediction; ``None`` for the truth alone.
        side: Longer side of the picture in pixels.
    """
    found = None if column is None else row.predictions[column]
    contours = [] if found is None else [Contour(found, FOUND)]
    return outline_picture(row.image, [*contours, Contour(row.truth, TRUTH, dashed=True)], row.aspect, side)


def png(picture: Picture) -> bytes:
    """Encode a picture ``(H, W, 3)`` as PNG."""
    height, width = picture.shape[:2]
    steps = np.diff(picture, axis=1, prepend=np.zeros_like(picture[:, :1])).reshape(height, -1)
    lines = np.insert(steps, 0, 1, axis=1)  # 1: each byte is the difference to the pixel on the left
    parts = (
        (b"IHDR", struct.pack(">2I5B", width, height, 8, 2, 0, 0, 0)),  # 8 bits, RGB
        (b"IDAT", zlib.compress(lines.tobytes())),
        (b"IEND", b""),
    )
    chunks = (
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def write_png(path: Path, picture: Picture) -> None:
    """Create or replace a PNG; a reader sees the old picture or the new one, never a part.

    Raises:
        ModelError: It cannot be written.
    """
    write_bytes(path, png(picture), make=True)


def _grey(image: NDArray[np.generic], window: tuple[float, float] | None) -> NDArray[np.float32]:
    """Return a slice in 0..1."""
    values = np.asarray(image, dtype=np.float32)
    finite = values[np.isfinite(values)]
    if values.ndim == 3:
        low, high = 0.0, 255.0 if finite.max(initial=0) > 1 else 1.0
    else:
        low, high = window or (np.percentile(finite, [0.5, 99.5]) if finite.size else (0.0, 1.0))
    return np.asarray(
        np.clip((np.nan_to_num(values, nan=low, posinf=high, neginf=low) - low) / max(high - low, 1e-12), 0, 1)
    )


def _weights(count: int, first: float, last: float, length: int) -> NDArray[np.float32]:
    """Return ``(count, length)``: how much each of ``length`` samples adds to each of ``count`` pixels.

    Linear between samples, and a mean over more of them where the picture is coarser; 0 outside of the samples.
    """
    step = (last - first) / count
    places = first + (np.arange(count)[:, None] + 0.5) * step - 0.5
    shares = np.clip(1 - np.abs(places - np.arange(length)) / max(1.0, step), 0, None)
    shares *= (places >= -0.5) & (places <= length - 0.5)
    return np.asarray(shares / np.maximum(shares.sum(axis=1, keepdims=True), 1e-12), dtype=np.float32)


def _used(weights: NDArray[np.float32]) -> slice:
    """Return the samples, of ``(count, length)``, that add to any pixel."""
    used = np.flatnonzero(weights.any(axis=0))
    return slice(used[0], used[-1] + 1) if used.size else slice(0)


def _eroded(mask: NDArray[np.bool_], steps: int) -> NDArray[np.bool_]:
    """Take ``steps`` pixels off all around, also at the border of the picture."""
    height, width = mask.shape
    for step in range(steps):
        framed = np.pad(mask, 1)
        shifts = _SQUARE if step % 2 else _CROSS  # in turn: nearly a disc
        mask = np.logical_and.reduce([framed[down : down + height, right : right + width] for down, right in shifts])
    return mask
