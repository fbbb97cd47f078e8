"""PNG, JPEG, BMP and TIFF: pixels without millimetres."""

from __future__ import annotations

import math
import struct
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from IncrementalSegLib.errors import DataError
from IncrementalSegLib.volumes.exif import orientation_of, upright
from IncrementalSegLib.volumes.itk import quiet
from IncrementalSegLib.volumes.memory import require_memory
from IncrementalSegLib.volumes.notes import Note
from IncrementalSegLib.volumes.payload import require_file
from IncrementalSegLib.volumes.raw import RawImage
from IncrementalSegLib.volumes.tiff import Layout, layout_of
from IncrementalSegLib.volumes.volume import Grid

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
_READERS = {
    b"\x89PNG": "PNGImageIO", b"\xff\xd8": "JPEGImageIO", b"BM": "BMPImageIO",
    b"II*\0": "TIFFImageIO", b"MM\0*": "TIFFImageIO", b"II+\0": "TIFFImageIO", b"MM\0+": "TIFFImageIO",
}  # fmt: skip
"""First bytes -> the reader of ITK, which no other format can take over."""
_JPEG_END = b"\xff\xd9"  # a JPEG that ends without it is read by ITK as grey below the break


def is_picture(path: Path) -> bool:
    """Return whether a file is a picture by its ending; pictures have no millimetres."""
    return path.name.lower().endswith(ENDINGS)


def read(path: Path, notes: list[Note]) -> RawImage:
    """Read a picture as viewers show it; its resolution in dots per inch is that of a printer or screen and not used.

    Args:
        path: PNG, JPEG, BMP or TIFF.
        notes: That a picture was turned, and what is assumed of a stack of pictures, is appended here.

    Raises:
        DataError: Unreadable, truncated, larger than the free memory, or a TIFF that is not stored upright.
    """
    size = require_file(path)
    with path.open("rb") as file:
        head = file.read(54)
        chosen = next((name for mark, name in _READERS.items() if head.startswith(mark)), None)
        file.seek(-min(4096, size), 2)
        cut = _JPEG_END not in file.read() if chosen == "JPEGImageIO" else chosen == "BMPImageIO" and _cut(head, size)
        if cut:
            raise DataError(f"{path.name} is truncated.", todo="The file is incomplete: copy or export it again.")
    if chosen is None:
        raise DataError(
            f"{path.name} cannot be read (it is in no known format, or damaged).",
            todo="Use PNG, JPEG, BMP or TIFF, or export the file again.",
        )
    layout = _layout(path, chosen, head)
    stored = layout.samples
    if chosen == "PNGImageIO" and stored == 2:
        raise DataError(f"{path.name} is grey with transparency.", todo="Save it without transparency (alpha channel).")
    orientation = _orientation(path, chosen, layout, notes)
    reader = sitk.ImageFileReader()
    reader.SetImageIO(chosen)
    reader.SetFileName(str(path))
    try:
        with quiet():
            reader.ReadImageInformation()
            voxels = int(math.prod(reader.GetSize())) * int(reader.GetNumberOfComponents())
            itemsize = sitk.Image([1, 1], reader.GetPixelID(), 1).GetSizeOfPixelComponent()
            require_memory(path.name, voxels, itemsize)
            image = reader.Execute()
    except RuntimeError as error:
        raise DataError(
            f"{path.name} cannot be read (it is incomplete or damaged).", todo="Copy or export it again."
        ) from error
    array, axes = sitk.GetArrayFromImage(image), image.GetDimension()
    array = np.moveaxis(array, -1, 0) if image.GetNumberOfComponentsPerPixel() > 1 else array[np.newaxis]
    if len(array) == 4 and (chosen == "PNGImageIO" or stored < 4):
        array = array[:-1]  # the last one is transparency, which ITK adds to some that have none
    if chosen == "TIFFImageIO" and layout.palette and array.dtype == np.uint16:
        array = (array >> 8).astype(np.uint8)  # the palettes of TIFF have 16 bits for colours of 8
    if stored == 1 and bool((array == array[:1]).all()):
        array = array[:1]  # a palette of greys
    if axes == 2:
        array = array[:, np.newaxis]
    array = upright(array, orientation)
    depth, height, width = array.shape[1:]
    if axes > 2:
        said = f"{path.name} is a stack of {depth} pictures without millimetres: voxels of 1 x 1 x 1 are assumed."
        notes.append(Note("no-millimetres", said))
    return RawImage(array, Grid((depth, height, width), planar=axes == 2))


def _layout(path: Path, chosen: str, head: bytes) -> Layout:
    """Return how the file stores its pixels."""
    if chosen == "TIFFImageIO":
        return layout_of(path)
    if chosen == "BMPImageIO":
        palette = int.from_bytes(head[28:30], "little") <= 8
        return Layout(1 if palette else 3, palette)
    turned = frozenset({orientation_of(path)})
    if chosen == "JPEGImageIO":
        return Layout(3, palette=False, orientations=turned)
    kind = head[25] if len(head) > 25 else 6
    return Layout({0: 1, 2: 3, 3: 1, 4: 2}.get(kind, 4), kind == 3, turned)


def _orientation(path: Path, chosen: str, layout: Layout, notes: list[Note]) -> int:
    """Return how pixels as ITK reads them are turned (EXIF); say it, as viewers show a picture upright."""
    turned = sorted(layout.orientations - {1})
    if not turned:
        return 1
    if chosen == "TIFFImageIO" and layout.orientations != {4}:  # ITK cuts the others down to 8 bits
        raise DataError(
            f"{path.name} is not stored upright (TIFF orientation {', '.join(map(str, turned))}).",
            "Not every program turns such a file.",
            "Open it in a viewer and save it upright, and its label likewise.",
        )
    said = f"{path.name} is not stored upright (EXIF orientation {turned[0]}) and is turned as viewers show it"
    notes.append(Note("turned-upright", f"{said}: check that image and label agree."))
    return 1 if chosen == "TIFFImageIO" else turned[0]


def _cut(head: bytes, size: int) -> bool:
    """Tell whether a BMP that is not packed ends before its last pixel, which ITK reads as black."""
    if len(head) < 54:
        return True
    offset, _, width, height = struct.unpack_from("<2I2i", head, 10)
    bits, packing = struct.unpack_from("<HI", head, 28)
    row = (abs(width) * bits + 31) // 32 * 4
    return bool(packing == 0 and offset + row * abs(height) > size)
