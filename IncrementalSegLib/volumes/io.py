"""Read scans of any format into volumes, and write volumes."""

from __future__ import annotations

import errno
import logging
import os
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from IncrementalSegLib.errors import DataError, GeometryError
from IncrementalSegLib.volumes.files import read_file, reason_of
from IncrementalSegLib.volumes.grids import difference, orthonormal, place, refuse_shear
from IncrementalSegLib.volumes.notes import Note
from IncrementalSegLib.volumes.volume import Grid, Matrix3, Vector3, Volume

PICTURE_ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
_WRITABLE = (".nii.gz", ".nii", ".nrrd", ".mha")
_ENDINGS = (".seg.nrrd", ".seg.nhdr", ".nii.gz", *_WRITABLE[1:], ".mhd", ".nhdr", ".hdr", ".dcm", *PICTURE_ENDINGS)
_ROUNDING = 1e-6
"""Deviation of directions that is float32 rounding and worth no word."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RawImage:
    """One file as it lies on the disk.

    Attributes:
        array: ``(C, D, H, W)``.
        grid: Where the samples lie; directions orthonormal.
        metadata: The text fields of the file.
    """

    array: NDArray[Any]
    grid: Grid
    metadata: Mapping[str, str] = field(default_factory=dict)


def read_volume(paths: Path | str | Sequence[Path | str], notes: list[Note] | None = None) -> Volume:
    """Read a scan from one file, from one file per channel, or from a folder that holds a DICOM series.

    NIfTI, NRRD, MHA and DICOM become 3-D volumes, PNG and JPEG planar ones (D is 1).  The components
    of a vector file (also red, green, blue) and the fourth axis of a 4-D file are channels.  Directions
    that are not quite orthonormal are repaired (SVD).  Voxels that are not finite stay as they are.

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
    return Volume(array, first.grid)


def read_image(path: Path, notes: list[Note] | None = None) -> RawImage:
    """Read one file, or one DICOM folder, with its text fields.

    Args:
        path: File or folder.
        notes: Repairs are appended here; ``None`` sends them to the log.

    Raises:
        DataError: Missing, empty, truncated, unreadable or of a wrong dimension.
        GeometryError: Directions are sheared by more than 1e-3.
    """
    said = [] if notes is None else notes
    image, bad = read_file(path, said)
    array, grid = _array_of(image, path), _grid_of(image, path, said)
    for repair in said if notes is None else ():
        _log.warning("%s", repair.message)
    if bad is not None:
        array = np.ascontiguousarray(array)
        array.reshape(-1)[bad] = np.nan
    metadata = {key: image.GetMetaData(key) for key in image.GetMetaDataKeys()}
    return RawImage(array, grid, metadata)


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
        sitk.WriteImage(image, str(temporary), useCompression=True)
        if not _holds(temporary, image):  # ITK does not notice that the disk is full
            raise OSError(errno.ENOSPC, "it did not arrive whole; the disk may be full")

    write_atomically(path, write)


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` fill a temporary file beside ``path`` and move it there when it is whole.

    Args:
        path: The file to appear; its folder is made where it is missing.
        write: Called with the temporary path, which has the same ending.

    Raises:
        DataError: The folder or file cannot be written; ``path`` is as it was.
    """
    temporary = path.with_name(f".{uuid.uuid4().hex}-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        descriptor = os.open(temporary, os.O_RDWR)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(temporary, path)
    except (OSError, RuntimeError) as error:
        raise DataError(
            f"{path} cannot be written ({reason_of(error)}).", todo="Check the folder, its rights and the free space."
        ) from error
    finally:
        with suppress(OSError):  # a disk that is read-only refuses even this
            temporary.unlink(missing_ok=True)


def name_of(path: Path) -> str:
    """Return the file name without the ending of its format: ``a.b.nii.gz`` -> ``a.b``."""
    lowered = path.name.lower()
    ending = next((ending for ending in _ENDINGS if lowered.endswith(ending)), "")
    return path.name[: len(path.name) - len(ending)] or path.name


def _holds(path: Path, image: sitk.Image) -> bool:
    """Tell whether a file holds the finite samples of an image; the readers of ITK differ on the others."""
    try:
        found = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
    except RuntimeError:
        return False
    wanted = sitk.GetArrayFromImage(image)
    if found.size != wanted.size:
        return False
    found = found.reshape(wanted.shape)  # ITK drops an axis of length one from some
    return bool(((found == wanted) | ~np.isfinite(wanted)).all())


def _array_of(image: sitk.Image, path: Path) -> NDArray[Any]:
    """Return the samples as (C, D, H, W)."""
    axes, components = image.GetDimension(), image.GetNumberOfComponentsPerPixel()
    if axes not in (2, 3, 4) or (axes == 4 and components > 1):
        raise DataError(
            f"{path.name} has {axes} axes and {components} components per voxel.",
            todo="Give a 2-D picture, a 3-D scan, or a 4-D file whose fourth axis is the channel.",
        )
    array = sitk.GetArrayFromImage(image)
    if array.size == 0:
        raise DataError(f"{path.name} holds no voxel.", todo="Export the file again.")
    if array.dtype.kind == "c":
        raise DataError(f"{path.name} holds complex numbers.", todo="Export magnitude images.")
    if components > 1:
        array = np.moveaxis(array, -1, 0)
        if path.suffix.lower() == ".png" and components in (2, 4):
            array = array[:-1]  # the last one is transparency
    elif axes < 4:
        array = array[np.newaxis]
    if axes == 2:
        array = array[:, np.newaxis]
    return array.astype(np.float32) if array.dtype.kind == "f" else array


def _grid_of(image: sitk.Image, path: Path, notes: list[Note]) -> Grid:
    axes = min(3, image.GetDimension())
    direction, spacing, origin = np.eye(3), [1.0, 1.0, 1.0], [0.0, 0.0, 0.0]
    cosines = np.array(image.GetDirection()).reshape(image.GetDimension(), -1)
    direction[:axes, :axes] = cosines[:axes, :axes]
    spacing[:axes], origin[:axes] = image.GetSpacing()[:axes], image.GetOrigin()[:axes]
    if not np.isfinite([*spacing, *origin]).all() or min(spacing) <= 0:
        raise GeometryError(f"{path.name} has the spacing {spacing} and origin {origin}.", todo="Export it again.")
    shear = refuse_shear(direction, path.name)
    if shear > _ROUNDING:
        said = f"The directions of {path.name} were not orthonormal (deviation {shear:.1g}) and were repaired."
        notes.append(Note("repaired-directions", said))
        direction = orthonormal(direction)
    shape = [*([1] * (3 - axes)), *reversed(image.GetSize()[:axes])]
    return Grid(
        shape=(shape[0], shape[1], shape[2]),
        spacing=_vector(spacing),
        origin=_vector(origin),
        direction=_matrix(direction),
        planar=axes == 2,
    )


def _vector(values: Sequence[float]) -> Vector3:
    return (float(values[0]), float(values[1]), float(values[2]))


def _matrix(matrix: NDArray[np.float64]) -> Matrix3:
    a, b, c, d, e, f, g, h, i = (float(value) for value in matrix.ravel())
    return (a, b, c, d, e, f, g, h, i)
