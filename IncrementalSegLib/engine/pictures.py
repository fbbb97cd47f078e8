"""One slice with contours as a PNG, for a front end; works where matplotlib is missing."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy import ndimage

from IncrementalSegLib.evaluation.content import SliceRow
from IncrementalSegLib.evaluation.metrics import Mask
from IncrementalSegLib.evaluation.slices import grey
from IncrementalSegLib.evaluation.theme import VIEWER
from IncrementalSegLib.files import TEMPORARY, make_folder, plain_errors

SIDE = 384
"""Longer side of a picture in pixels: twice what a panel shows, for fine screens."""

TRUTH = tuple(bytes.fromhex(VIEWER.amber[1:]))
"""Colour of what was outlined by a person, as in reports."""

FOUND = tuple(bytes.fromhex(VIEWER.blue[1:]))
"""Colour of what a model found, as in reports."""

Picture = NDArray[np.uint8]

_DASH = 6


@dataclass(frozen=True)
class Contour:
    """The outline of a mask.

    Attributes:
        mask: ``(H, W)`` bool.
        color: Red, green, blue, each 0..255.
        dashed: Tells it from another one where colours cannot.
    """

    mask: Mask
    color: Sequence[int]
    dashed: bool = False


def outline_picture(
    image: NDArray[np.generic], contours: Sequence[Contour], aspect: float = 1.0, side: int = SIDE
) -> Picture:
    """Draw a slice in grey with contours over it, the later ones on top.

    Args:
        image: ``(H, W)``, any real dtype, or RGB ``(H, W, 3)``; shown from its 0.5th to its 99.5th percentile.
        contours: Masks on the same pixels.
        aspect: Height of a pixel divided by its width.
        side: Longer side of the picture in pixels.

    Returns:
        ``(H', W', 3)``.
    """
    height, width = image.shape[0] * aspect, image.shape[1]
    scale = side / max(height, width)
    size = max(1, round(height * scale)), max(1, round(width * scale))
    shown = np.broadcast_to(grey(image)[..., None] if image.ndim == 2 else grey(image), (*image.shape[:2], 3))
    drawn = np.stack([_resized(shown[..., channel], size) for channel in range(3)], axis=-1)
    picture: Picture = np.rint(255 * np.clip(drawn, 0, 1)).astype(np.uint8)
    rows, columns = np.indices(size)
    gaps = (rows // _DASH + columns // _DASH) % 2 == 1
    width_px = max(2, round(max(size) / 160))
    for contour in contours:
        mask = _resized(contour.mask.astype(np.float64), size) >= 0.5
        line = mask & ~ndimage.binary_erosion(mask, iterations=width_px)
        picture[line & ~gaps if contour.dashed else line] = contour.color
    return picture


def outlined(row: SliceRow, column: int = 0, side: int = SIDE) -> Picture:
    """Draw a slice with the truth as a dashed amber contour and one prediction as a solid blue one."""
    contours = [Contour(row.truth, TRUTH, dashed=True)]
    found = row.predictions[column]
    return outline_picture(
        row.image, [*([] if found is None else [Contour(found, FOUND)]), *contours], row.aspect, side
    )


def write_png(path: Path, picture: Picture) -> None:
    """Create or replace a PNG; a reader sees the old picture or the new one, never a part.

    Raises:
        ModelError: It cannot be written.
    """
    temporary = path.with_name(f"{TEMPORARY}{secrets.token_hex(8)}.png")
    with plain_errors(path):
        make_folder(path.parent)
        try:
            sitk.WriteImage(sitk.GetImageFromArray(picture, isVector=True), str(temporary), useCompression=True)
            temporary.replace(path)
        except RuntimeError as error:  # what SimpleITK raises where a file cannot be written
            raise OSError(str(error)) from error
        finally:
            temporary.unlink(missing_ok=True)


def _resized(values: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.float64]:
    """Return ``(H, W)`` sampled linearly at the centres of other pixels over the same field of view."""
    rows, columns = ((np.arange(new) + 0.5) * old / new - 0.5 for new, old in zip(size, values.shape, strict=True))
    grid = np.meshgrid(rows, columns, indexing="ij")
    return np.asarray(ndimage.map_coordinates(values, grid, order=1, mode="nearest"))
