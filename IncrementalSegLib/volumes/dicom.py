"""Read the one DICOM series of a folder, or of the folders below it."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from IncrementalSegLib.errors import DataError, GeometryError
from IncrementalSegLib.volumes.notes import Note

_POSITION = "0020|0032"
_DESCRIPTION = "0008|103e"
_GAP = 0.05
"""Largest distance of a slice from its place on the regular grid, as a share of the slice distance."""


def read_series(folder: Path, notes: list[Note] | None = None) -> sitk.Image:
    """Read the series of a folder, its slices in the order of their positions.

    Args:
        folder: The folder of the series, or one above it that holds no other series.
        notes: Where the series lies, if deeper, is appended here.

    Raises:
        DataError: No series, several of them, or slices that do not fit together.
        GeometryError: A slice is missing, or the slices do not lie at equal distances.
    """
    found = _series(folder) or [series for below in _folders(folder) for series in _series(below)]
    if not found:
        raise DataError(
            f"The folder {folder} holds no DICOM series.", todo="Name a file, or the folder of one DICOM series."
        )
    if len(found) > 1:
        listing = "; ".join(f"{_describe(files[0], folder)} ({len(files)} files)" for files in found)
        raise DataError(
            f"The folder {folder} holds {len(found)} DICOM series: {listing}.",
            todo="Move each series to a folder of its own and name that folder.",
        )
    place = Path(found[0][0]).parent
    if notes is not None and place != folder:
        said = f"The DICOM series of {folder.name} lies in its folder {place.relative_to(folder)}."
        notes.append(Note("deeper-folder", said))
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(found[0])
    reader.MetaDataDictionaryArrayUpdateOn()
    try:
        image: sitk.Image = reader.Execute()
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise DataError(f"The DICOM series in {folder} cannot be read ({reason}).", todo="Export it again.") from error
    _check_positions(reader, image, folder)
    return image


def _series(folder: Path) -> list[tuple[str, ...]]:
    """Return the files of each series that lies right in a folder."""
    reader = sitk.ImageSeriesReader
    return [reader.GetGDCMSeriesFileNames(str(folder), name) for name in reader.GetGDCMSeriesIDs(str(folder))]


def _folders(folder: Path) -> list[Path]:
    """Return the folders below one."""
    return sorted(Path(place, name) for place, names, _ in os.walk(folder) for name in names)


def _describe(file: str, folder: Path) -> str:
    reader = sitk.ImageFileReader()
    reader.SetFileName(file)
    reader.ReadImageInformation()
    text = reader.GetMetaData(_DESCRIPTION).strip() if reader.HasMetaDataKey(_DESCRIPTION) else Path(file).name
    deeper = Path(file).parent
    return text if deeper == folder else f"{deeper.relative_to(folder)}: {text}"


def _check_positions(reader: sitk.ImageSeriesReader, image: sitk.Image, folder: Path) -> None:
    """Compare where each slice lies with where a regular grid puts it."""
    count = len(reader.GetFileNames())
    if count < 2 or image.GetDimension() != 3 or image.GetSize()[2] != count:
        return
    distance = image.GetSpacing()[2]
    for index in range(count):
        if not reader.HasMetaDataKey(index, _POSITION):
            return
        lies = np.array([float(part) for part in reader.GetMetaData(index, _POSITION).split("\\")])
        belongs = np.array(image.TransformIndexToPhysicalPoint((0, 0, index)))
        if np.abs(lies - belongs).max() > _GAP * distance:
            raise GeometryError(
                f"Slice {index + 1} of the DICOM series in {folder} lies {np.linalg.norm(lies - belongs):.2f} mm off.",
                "A slice is missing, or the slices do not lie at equal distances.",
                "Export the whole series again, or resample it to a regular grid first.",
            )
