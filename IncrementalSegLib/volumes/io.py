"""Read scans of any format into volumes, and write volumes."""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from IncrementalSegLib.errors import DataError, GeometryError
from IncrementalSegLib.files import replacing
from IncrementalSegLib.volumes import dicom, metaimage, nifti, nrrd, pictures
from IncrementalSegLib.volumes.dicom_files import is_dicom
from IncrementalSegLib.volumes.grids import difference, place
from IncrementalSegLib.volumes.itk import reason_of
from IncrementalSegLib.volumes.notes import Note
from IncrementalSegLib.volumes.payload import is_folder, permitted, require_file
from IncrementalSegLib.volumes.raw import RawImage
from IncrementalSegLib.volumes.volume import Grid, Volume

_WRITABLE = (".nii.gz", ".nii", ".nrrd", ".mha")
_ENDINGS = tuple(
    sorted(
        (".seg.nrrd", ".seg.nhdr", ".dcm", *nifti.ENDINGS, *nrrd.ENDINGS, *metaimage.ENDINGS, *pictures.ENDINGS),
        key=len,
        reverse=True,
    )
)
"""Endings of files, the longest first."""

_log = logging.getLogger(__name__)


def read_volume(paths: Path | str | Sequence[Path | str], notes: list[Note] | None = None) -> Volume:
    """Read a scan from one file, from one file per channel, or from a folder that holds a DICOM series.

    NIfTI, NRRD, MHA and DICOM become 3-D volumes; PNG, JPEG, BMP and TIFF planar ones (D is 1) whose pixels have
    no millimetres.  The components of a vector file (also red, green, blue) and the fourth axis of a 4-D file are
    channels; a time series is refused.  Directions that are not quite orthonormal are repaired (SVD).  Voxels that
    are not finite stay as they are.

    Args:
        paths: File or folder, or one per channel.
        notes: Repairs are appended here, one sentence each; ``None`` sends them to the log.

    Returns:
        The volume; its array has the dtype of the file, float32 where that has 64 bits.

    Raises:
        DataError: Missing, empty, truncated, unreadable, of a wrong dimension, or without a finite voxel.
        GeometryError: Directions are sheared by more than 1e-3, or the channels lie on different grids.

    Example:
        >>> read_volume(["scan.nii.gz", "scan.nii.gz"]).channels
        2
    """
    files = [Path(paths)] if isinstance(paths, (str, Path)) else [Path(path) for path in paths]
    if not files:
        raise DataError("No image file is given.", todo="Name at least one file.")
    images = [read_image(path, notes) for path in files]
    first = images[0]
    for path, image in zip(files[1:], images[1:], strict=True):
        if found := difference(first.grid, image.grid):
            raise GeometryError(
                f"The channels {files[0].name} and {path.name} lie on different grids: {found}.",
                todo="Resample one to the grid of the other first.",
            )
    array = first.array if len(images) == 1 else np.concatenate([image.array for image in images])
    if array.dtype.kind == "f" and not np.isfinite(array).any():
        raise DataError(f"{files[0].name} holds no finite voxel.", todo="Export the scan again.")
    padding = tuple(image.padding for image in images for _ in image.array)
    return Volume(array, first.grid, padding=padding if any(value is not None for value in padding) else ())


def read_image(path: Path, notes: list[Note] | None = None) -> RawImage:
    """Read one file, or one DICOM folder, with its text fields.

    Args:
        path: File or folder.
        notes: Repairs are appended here; ``None`` sends them to the log.

    Raises:
        DataError: Missing, empty, truncated, unreadable or of a wrong dimension.
        GeometryError: Directions are sheared by more than 1e-3.
    """
    said: list[Note] = []
    with (
        permitted(path),
        np.errstate(all="ignore"),
    ):  # of a damaged header; what is not finite is refused where it counts
        raw = _reader(path)(path, said)
    array = raw.array.astype(np.float32, copy=False) if raw.array.dtype.kind == "f" else raw.array
    if notes is None:
        for note in said:
            _log.warning("%s", note.message)
    else:
        notes += said
    return replace(raw, array=array)


def write_volume(path: Path | str, volume: Volume) -> None:
    """Write a volume as NIfTI, NRRD or MHA; channels become the components of a vector file.

    Raises:
        DataError: The ending is another one, or the disk cannot take the file.
    """
    path = Path(path)
    if not path.name.lower().endswith(_WRITABLE):
        raise DataError(f"Volumes cannot be written as {path.name!r}.", todo=f"Use one of {', '.join(_WRITABLE)}.")
    array = volume.array.astype(np.uint8) if volume.array.dtype == np.bool_ else volume.array
    array = array.astype(np.float32) if array.dtype == np.float16 else array
    write_image(path, image_of(array, volume.grid))


def image_of(array: NDArray[np.generic], grid: Grid) -> sitk.Image:
    """Return ``(C, D, H, W)`` as a SimpleITK image on ``grid``; 2-D where the grid is planar."""
    plane = array[:, 0] if grid.planar else array
    if len(plane) == 1:
        image = sitk.GetImageFromArray(np.ascontiguousarray(plane[0]))
    else:
        image = sitk.GetImageFromArray(np.ascontiguousarray(np.moveaxis(plane, 0, -1)), isVector=True)
    place(image, grid)
    return image


def write_image(path: Path, image: sitk.Image) -> None:
    """Write a SimpleITK image, compressed and atomically.

    Raises:
        DataError: The disk cannot take the file.
    """

    def write(temporary: Path) -> None:
        try:
            sitk.WriteImage(image, str(temporary), useCompression=True)
        except RuntimeError as error:
            raise DataError(
                f"Cannot write {path}.", f"ITK says: {reason_of(error)}.", "Check the folder and the free space."
            ) from error
        if not _holds(temporary, image):  # ITK does not notice that the disk is full
            raise OSError(errno.ENOSPC, "it was not written completely")

    write_atomically(path, write)


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` fill a temporary file beside ``path`` and move it there when it is whole.

    Args:
        path: The file to appear; its folder is made where it is missing.
        write: Called with the temporary path, which has the same ending.

    Raises:
        DataError: The folder or file cannot be written; ``path`` is as it was.
    """
    with replacing(path, DataError, ending=path.name[len(name_of(path)) :], make=True) as temporary:
        write(temporary)


def name_of(path: Path) -> str:
    """Return the file name without the ending of its format: ``a.b.nii.gz`` -> ``a.b``."""
    lowered = path.name.lower()
    ending = next((ending for ending in _ENDINGS if lowered.endswith(ending)), "")
    return path.name[: len(path.name) - len(ending)] or path.name


def is_scan_file(path: Path) -> bool:
    """Tell by the ending whether a file may be a scan: an image of a known format that is no segmentation."""
    name = path.name.lower()
    return name.endswith(_ENDINGS) and not name.endswith((".seg.nrrd", ".seg.nhdr", ".dcm"))


def _holds(path: Path, image: sitk.Image) -> bool:
    """Tell whether a file holds the finite samples of an image; the readers of ITK differ on the others."""
    try:
        read = sitk.ReadImage(str(path))
    except RuntimeError:
        return False
    found, wanted = sitk.GetArrayViewFromImage(read), sitk.GetArrayViewFromImage(image)
    if found.size != wanted.size:
        return False
    found = found.reshape(wanted.shape)  # ITK drops an axis of length one from some
    return all(  # slice by slice: the comparison needs memory too
        bool(((here == there) | ~np.isfinite(there)).all()) for here, there in zip(found, wanted, strict=True)
    )


def _reader(path: Path) -> Callable[[Path, list[Note]], RawImage]:
    """Return what reads a file or folder."""
    if is_folder(path):
        return dicom.read
    require_file(path)
    if is_dicom(path):
        return dicom.read
    name = path.name.lower()
    readers = {
        nifti.ENDINGS: nifti.read, nrrd.ENDINGS: nrrd.read, metaimage.ENDINGS: metaimage.read,
        pictures.ENDINGS: pictures.read,
    }  # fmt: skip
    found = next((reader for endings, reader in readers.items() if name.endswith(endings)), None)
    if found is None:
        raise DataError(
            f"{path.name} cannot be read (it is in no known format, or damaged).",
            todo="Use NIfTI, NRRD, MHA, a DICOM folder, PNG or JPEG, or export the file again.",
        )
    return found
