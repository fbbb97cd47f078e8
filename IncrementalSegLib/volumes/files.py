"""From one file or DICOM folder to an image of SimpleITK, or to a sentence that says why not."""

from __future__ import annotations

import logging
import math
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from IncrementalSegLib.errors import DataError, GeometryError
from IncrementalSegLib.volumes import dicom, nifti
from IncrementalSegLib.volumes.grids import refuse_shear
from IncrementalSegLib.volumes.notes import Note

_JPEG_END = b"\xff\xd9"  # a JPEG that ends without it is read by ITK as grey below the break
_MOST_PACKED = 1032
"""How many bytes one byte of a deflated file can hold at most."""
_COPY = "The file is incomplete: copy or export it again."
_META_HEAD = 1 << 16
"""More bytes than the header of a MetaImage has."""
_PLAIN = {
    "determine ImageIO": "(it is in no known format, or damaged)",
    "size is zero": "(it holds no voxel)",
    "change spacing": "(it gives its voxels an impossible size)",
    "_spacings:": "(it gives its voxels an impossible size)",
}
"""What ITK says -> what a person is told."""

_log = logging.getLogger(__name__)


def read_file(path: Path, notes: list[Note]) -> tuple[sitk.Image, NDArray[np.bool_] | None]:
    """Read one file, or the DICOM series of a folder.

    Args:
        path: File or folder.
        notes: Repairs are appended here, one sentence each.

    Returns:
        The image, and where its voxels are NaN or infinite if the image does not show them, else ``None``.

    Raises:
        DataError: Missing, empty, truncated, unreadable, or larger than this machine can hold.
        GeometryError: Sheared, without a place, or with slices missing.
    """
    try:
        if not path.exists():
            raise DataError(f"{path} is not there.", todo="Correct the path.")
        if path.is_dir():
            os.scandir(path).close()  # GDCM would see an empty folder where it has no right to look
            with quiet():
                return dicom.read_series(path, notes), None
        with path.open("rb") as file:
            if not file.read(1):
                raise DataError(f"{path.name} is empty (0 bytes).", todo="Copy or export the file again.")
        with quiet():
            return _read_nifti(path, notes) if nifti.is_nifti(path) else (_read(path), None)
    except PermissionError as error:
        raise DataError(f"{path} may not be read by you.", todo="Change its rights, or copy it.") from error


@contextmanager
def quiet() -> Iterator[None]:
    """Send what ITK writes to standard error to the log instead."""
    listener = _Listener()  # ITK does not keep it alive
    earlier = listener.SetAsGlobalITKLogger()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        earlier.SetAsGlobalITKLogger()


def reason_of(error: Exception) -> str:
    """Return the last line of an error of ITK, without its marks."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or ["no reason given"]
    return lines[-1].removeprefix("ITK ERROR: ").removeprefix("sitk::ERROR: ").rstrip(".")


class _Listener(sitk.LoggerBase):
    """Receives what ITK wants to say."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def DisplayText(self, text: str) -> None:  # noqa: N802
        _log.debug("%s", " ".join(text.split()))

    DisplayErrorText = DisplayWarningText = DisplayGenericOutputText = DisplayDebugText = DisplayText


def _read_nifti(path: Path, notes: list[Note]) -> tuple[sitk.Image, NDArray[np.bool_] | None]:
    """Return the image, and where its voxels are NaN or infinite: ITK makes them zero."""
    header = nifti.read_header(path)
    _require_memory(path, header.data_bytes)
    bad = nifti.check_voxels(path, header)
    if not np.isfinite((header.slope, header.intercept)).all():
        raise DataError(
            f"{path.name} is corrupt: its scale factor is {header.slope:g} and its offset {header.intercept:g}.",
            "The intensities are unknown.",
            "Export the scan again.",
        )
    size = " x ".join(f"{length:g}" for length in header.voxel)
    if header.lost_voxel and header.affine is None:
        raise GeometryError(f"{path.name} gives its voxels the size {size} mm.", todo="Export the scan again.")
    misnamed = header.compressed and not path.name.lower().endswith(".gz")
    if not header.needs_copy and not misnamed:
        return _whole(_read(path), header), bad
    if header.needs_copy:
        refuse_shear(header.directions, path.name)
    if header.lost_voxel:
        said = f"{path.name} gives its voxels two sizes, {size} mm is impossible and the other one is used."
        notes.append(Note("two-spacings", said))
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy.nii"
        nifti.write_plain_copy(path, header, copy)
        return _whole(_read(copy), header), bad


def _whole(image: sitk.Image, header: nifti.NiftiHeader) -> sitk.Image:
    """Give an image its third axis, which ITK drops from one slice of several channels, and its place by the sform."""
    if header.affine is None or not (header.needs_copy or image.GetDimension() == 2):
        return image
    image = sitk.JoinSeries(image) if image.GetDimension() == 2 else image
    direction = np.eye(image.GetDimension())
    direction[:3, :3] = header.directions
    image.SetSpacing([*header.spacing, *image.GetSpacing()[3:]])
    image.SetOrigin([*header.affine[:, 3], *image.GetOrigin()[3:]])
    image.SetDirection(direction.ravel().tolist())
    return image


def _read(path: Path) -> sitk.Image:
    ending = path.suffix.lower()
    if ending in (".jpg", ".jpeg") and _JPEG_END not in path.read_bytes()[-4096:]:
        raise DataError(f"{path.name} is truncated.", todo=_COPY)
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
        declared = _bytes_of(reader)
        if ending in (".mha", ".mhd"):
            _check_meta(path, declared)
        if ending in (".nrrd", ".mha") and declared > _MOST_PACKED * path.stat().st_size:
            raise DataError(
                f"{path.name} promises {_size(declared)} of voxels and has only {_size(path.stat().st_size)}.",
                todo="The file is incomplete or damaged: copy or export it again.",
            )
        _require_memory(path, declared)
        image: sitk.Image = reader.Execute()
        return image
    except RuntimeError as error:
        reason = reason_of(error)
        said = next((plain for mark, plain in _PLAIN.items() if mark in reason), f"({reason})")
        raise DataError(
            f"{path.name} cannot be read {said}.",
            todo="Use NIfTI, NRRD, MHA, a DICOM folder, PNG or JPEG, or export the file again.",
        ) from error


def _check_meta(path: Path, declared: int) -> None:
    """Refuse a MetaImage whose voxels are not all there, which ITK would say on standard error too."""
    with path.open("rb") as file:
        head = file.read(_META_HEAD)
    fields: dict[str, str] = {}
    begin = 0
    for line in head.splitlines(keepends=True):
        begin += len(line)
        name, _, value = line.decode("utf-8", "replace").partition("=")
        fields[name.strip()] = value.strip()
        if "ElementDataFile" in fields:
            break
    named = fields.get("ElementDataFile", "LIST")
    if named.startswith("LIST") or "%" in named:  # voxels in several files
        return
    data = path if named == "LOCAL" else path.parent / named
    if not data.exists():
        raise DataError(
            f"{path.name} is only a header: its voxels lie in {named}, which is not beside it.",
            todo="Copy both files, or export the scan as one .mha file.",
        )
    there = data.stat().st_size - (begin if data == path else 0)
    packed = fields.get("CompressedData", "False").startswith("T")
    size = fields.get("CompressedDataSize", "0") if packed else str(declared)
    if fields.get("BinaryData", "").startswith("T") and size.isdigit() and there < int(size):
        raise DataError(f"{data.name} is truncated: {there} of {size} bytes are there.", todo=_COPY)


def _require_memory(path: Path, needed: int) -> None:
    """Refuse an image that cannot be held, before anything is allocated for it."""
    if "SC_PHYS_PAGES" not in getattr(os, "sysconf_names", {}):  # Windows cannot be asked so
        return
    there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if needed > there:
        raise DataError(
            f"{path.name} needs {_size(needed)} of memory for its voxels; this machine has {_size(there)}.",
            "Its header may be damaged.",
            "Check the size that the header gives, or crop or resample the scan.",
        )


def _bytes_of(reader: sitk.ImageFileReader) -> int:
    component: int = sitk.Image([1, 1, 1], reader.GetPixelID(), 1).GetSizeOfPixelComponent()
    return int(math.prod(reader.GetSize())) * int(reader.GetNumberOfComponents()) * component


def _size(count: int) -> str:
    power = min(5, max(0, int(math.log(max(1, count), 1000))))
    return f"{count / 1000**power:.3g} {('bytes', 'kB', 'MB', 'GB', 'TB', 'PB')[power]}"
