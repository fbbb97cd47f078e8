"""Pixels of DICOM slices as real values."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from IncrementalSegLib.errors import DataError
from IncrementalSegLib.volumes.dicom_files import DicomFile, read_dataset, understood
from IncrementalSegLib.volumes.dicom_frames import Frame
from IncrementalSegLib.volumes.itk import quiet, reason_of
from IncrementalSegLib.volumes.memory import bytes_text, require_memory
from IncrementalSegLib.volumes.notes import Note

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.uid import UID

_MOST_PACKED = 5000
"""Bytes of pixels that one byte of a packed file can hold in a real scan; a black slice comes near."""
_PIXEL_MODULE = {
    "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "Rows", "Columns", "BitsAllocated",
    "BitsStored", "HighBit", "PixelRepresentation", "NumberOfFrames", "PixelData",
}  # fmt: skip
_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
"""Secondary capture: a picture without a place and without real values."""
_SMALL = 100_000_000
"""Bytes that are never too many."""


def read(
    frames: Sequence[Frame], sources: Mapping[Path, DicomFile], name: str, notes: list[Note]
) -> tuple[NDArray[Any], float | None]:
    """Read slices in their order.

    Slope and intercept of each slice are applied; the result is integer where no slice has any but whole ones.
    Padding (``PixelPaddingValue`` and ``PixelPaddingRangeLimit``) becomes one value in all slices.

    Args:
        frames: Slices of one size, the first to the last.
        sources: Path -> header.
        name: Name of the file or folder, for messages.
        notes: Receives padding values that cannot be right.

    Returns:
        ``(C, D, H, W)``, and the value of its padding; ``None`` where it has none.

    Raises:
        DataError: Truncated, of an unknown packing, or larger than the free memory.
    """
    dtype = _type_of(frames, sources)
    first = frames[0]
    shape = (first.samples, len(frames), first.rows, first.columns)
    for source in sources.values():
        _require_bytes(source)
    require_memory(name, int(np.prod(shape, dtype=np.int64)), dtype.itemsize)
    array = np.empty(shape, dtype)
    paddings = {path: _padding(source) for path, source in sources.items()}
    outside = np.zeros(shape[1:], np.bool_) if any(paddings.values()) else None
    places = sorted(range(len(frames)), key=lambda place: (str(frames[place].path), frames[place].index))
    for path, group in groupby(places, key=lambda place: frames[place].path):
        chosen, padding = list(group), paddings[path]
        for place, pixels in zip(chosen, stored(path, [frames[place].index for place in chosen]), strict=True):
            if pixels.shape[:2] != (first.rows, first.columns):
                raise DataError(f"{path.name} has pixels that do not match its header.", todo="Export it again.")
            array[:, place] = _real(pixels, frames[place], dtype).reshape(*shape[2:], -1).transpose(2, 0, 1)
            if outside is not None and padding is not None:
                outside[place] = (pixels >= min(padding)) & (pixels <= max(padding))
    if outside is None or not outside.any():
        return array, None
    if outside.all():
        said = f"{name} declares all of its voxels as padding (PixelPaddingValue): this is ignored."
        notes.append(Note("all-padding", said))
        return array, None
    return array, _fill(array, outside, frames)


def _fill(array: NDArray[Any], outside: NDArray[np.bool_], frames: Sequence[Frame]) -> float:
    """Give padding one value and return it: its own, or the least of all voxels where slices differ in their scale."""
    one_scale = len({(frame.slope, frame.intercept) for frame in frames}) == 1
    value = array[0][outside][0] if one_scale else array.min(where=~outside, initial=array.max())
    array[:, outside] = value
    return float(value)


def stored(path: Path, indices: Sequence[int]) -> Iterator[NDArray[Any]]:
    """Yield the pixels of some frames of a file as they are stored.

    Args:
        path: The file.
        indices: Numbers of the frames, rising.

    Raises:
        DataError: No decoder knows the packing, or the pixels are damaged.
    """
    dataset = read_dataset(path, pixels=True)
    with understood(path.name):
        from pydicom.pixels.utils import iter_pixels

        if _known(dataset.file_meta.TransferSyntaxUID):
            frames = iter_pixels(dataset, indices=indices)
        else:
            whole = _by_itk(dataset)
            frames = (whole[index] for index in indices)
    for _ in indices:
        with understood(path.name):
            pixels = next(frames)
        yield pixels


def _known(syntax: UID) -> bool:
    """Tell whether pydicom has what it needs for a packing."""
    from pydicom.pixels.decoders.base import get_decoder

    return not syntax.is_encapsulated or get_decoder(syntax).is_available


def _by_itk(dataset: Dataset) -> NDArray[Any]:
    """Return the frames of a packing that only ITK knows here.

    It gets a file of its own with nothing but the pixels: it would apply the slope of the first frame to all, and
    some damaged headers end the process.
    """
    from pydicom import Dataset as Bare
    from pydicom.uid import UID

    if dataset.BitsAllocated not in (8, 16, 32) or min(dataset.Rows, dataset.Columns) < 1:
        raise ValueError(f"pixels of {dataset.BitsAllocated} bits")
    bare = Bare()
    bare.update({element.tag: element for element in dataset if element.keyword in _PIXEL_MODULE})
    bare.SOPClassUID, bare.SOPInstanceUID = UID(_CAPTURE), UID("1.2.3")
    bare.file_meta = dataset.file_meta
    bare.file_meta.MediaStorageSOPClassUID, bare.file_meta.MediaStorageSOPInstanceUID = UID(_CAPTURE), UID("1.2.3")
    with tempfile.TemporaryDirectory() as folder, quiet():
        path = Path(folder) / "slices.dcm"
        bare.save_as(path, enforce_file_format=True)
        try:
            image = sitk.ReadImage(str(path))
        except RuntimeError as error:
            raise ValueError(reason_of(error)) from error
    array: NDArray[Any] = sitk.GetArrayFromImage(image)
    return array if image.GetDimension() > 2 else array[np.newaxis]


def _real(pixels: NDArray[Any], frame: Frame, dtype: np.dtype[Any]) -> NDArray[Any]:
    if frame.slope == 1 and frame.intercept == 0:
        return pixels
    if dtype.kind == "f":
        return (pixels * np.float64(frame.slope) + frame.intercept).astype(dtype)
    return np.asarray(pixels.astype(dtype) + dtype.type(frame.intercept))


def _padding(source: DicomFile) -> tuple[int, int] | None:
    """Return value and range limit of the padding as pixels are stored; ``None`` where the file declares none."""
    header = source.dataset
    value = header.get("PixelPaddingValue")
    if value is None or int(header.get("SamplesPerPixel") or 1) != 1:
        return None
    limit = header.get("PixelPaddingRangeLimit")
    bits, signed = int(header.get("BitsStored") or 0), int(header.get("PixelRepresentation") or 0)
    return _stored(int(value), bits, signed), _stored(int(value if limit is None else limit), bits, signed)


def _stored(value: int, bits: int, signed: int) -> int:
    """Return a number without the bits beyond ``BitsStored``, as pixels are read; some files write -2000 as 63536."""
    if not 1 <= bits <= 32:
        return value
    value &= (1 << bits) - 1
    return value - (1 << bits) if signed and value >> (bits - 1) else value


def _type_of(frames: Sequence[Frame], sources: Mapping[Path, DicomFile]) -> np.dtype[Any]:
    """Return the smallest type that holds the real values of all slices."""
    lowest, highest = 0.0, 0.0
    for frame in frames:
        header = sources[frame.path].dataset
        if "ModalityLUTSequence" in header or header.get("PhotometricInterpretation") == "PALETTE COLOR":
            raise DataError(
                f"{frame.name} keeps its values in a table (Modality LUT or PALETTE COLOR).",
                todo="Export plain values.",
            )
        bits = int(header.get("BitsStored") or 0)
        whole = frame.slope == 1 and float(frame.intercept).is_integer()
        if not np.isfinite((frame.slope, frame.intercept)).all() or not frame.slope:
            raise DataError(
                f"{frame.name} has the slope {frame.slope:g} and intercept {frame.intercept:g}.",
                "The intensities are unknown.",
                "Export it again.",
            )
        if not 1 <= bits <= 32 or not whole:
            return np.dtype(np.float32)
        signed = int(header.get("PixelRepresentation") or 0)
        lowest = min(lowest, frame.intercept - (2 ** (bits - 1) if signed else 0))
        highest = max(highest, frame.intercept + 2 ** (bits - signed) - 1)
    for kind in (np.uint8, np.int8, np.int16, np.uint16, np.int32, np.uint32):
        if np.iinfo(kind).min <= lowest and highest <= np.iinfo(kind).max:
            return np.dtype(kind)
    return np.dtype(np.float32)


def _require_bytes(source: DicomFile) -> None:
    """Refuse a file that promises more pixels than its bytes can hold."""
    header = source.dataset
    with understood(source.path.name):
        frames = int(header.get("NumberOfFrames") or 1)
        bits = int(header.Rows) * int(header.Columns) * int(header.get("SamplesPerPixel") or 1) * frames
        needed = bits * int(header.BitsAllocated) // 8
        plain = not header.file_meta.TransferSyntaxUID.is_compressed
    if plain and source.size < needed:
        raise DataError(
            f"{source.path.name} is truncated: {source.size} of {needed} bytes are there.",
            todo="It is damaged or incomplete: export it again.",
        )
    if needed > max(_SMALL, _MOST_PACKED * source.size):
        raise DataError(
            f"{source.path.name} promises {bytes_text(needed)} of pixels and has only {bytes_text(source.size)}.",
            todo="It is damaged or incomplete: export it again.",
        )
