"""DICOM: the one series of a folder, or one file, as an image whose slices lie where their headers say."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from IncrementalSegLib.errors import DataError
from IncrementalSegLib.volumes import dicom_pixels
from IncrementalSegLib.volumes.dicom_files import DicomFile, class_name, is_dicom, read_source, understood
from IncrementalSegLib.volumes.dicom_frames import frames_of
from IncrementalSegLib.volumes.dicom_grid import arrange
from IncrementalSegLib.volumes.notes import Note
from IncrementalSegLib.volumes.payload import is_folder
from IncrementalSegLib.volumes.raw import RawImage

_NO_SCANS = {
    "1.2.840.10008.5.1.4.1.1.66.4": "Name it as the label of a scan.",
    "1.2.840.10008.5.1.4.1.1.66.7": "Name it as the label of a scan.",
    "1.2.840.10008.5.1.4.1.1.481.3": "Open it in 3D Slicer with its scan and save the segmentation as .seg.nrrd.",
    "1.2.840.10008.5.1.4.1.1.481.2": "Name the scan that the dose was planned on.",
    "1.2.840.10008.5.1.4.1.1.30": "Name the scan that it was computed from.",
    "1.2.840.10008.5.1.4.1.1.77.1.6": "Export the picture as PNG.",
}
"""Classes of DICOM that have pixels or outlines and are no scan -> what to do."""
_SEGMENTATIONS = tuple(_NO_SCANS)[:2]


def read(path: Path, notes: list[Note]) -> RawImage:
    """Read a DICOM file, or the series of a folder.

    Args:
        path: A file; the folder of a series; or one above it that holds no other series.
        notes: Where the series lies, and what was assumed, is appended here.

    Raises:
        DataError: No scan, several of them, unreadable, or pydicom is not installed.
        GeometryError: The slices do not form one regular grid.
    """
    with understood(path.name):
        sources = _series(path, notes) if path.is_dir() else [_scan(read_source(path))]
        _look_at_brightness(sources, path, notes)
        frames = [frame for source in sources for frame in frames_of(source)]
        ordered, grid = arrange(frames, path.name, notes)
        by_path = {source.path: source for source in sources}
        array, padding = dicom_pixels.read(ordered, by_path, path.name, notes)
        return RawImage(array, grid, padding=padding)


def segmentation(path: Path) -> DicomFile | None:
    """Return the DICOM segmentation that a file or folder is; ``None`` where it is something else.

    Raises:
        DataError: The folder holds several of them, or one cannot be read.
    """
    try:
        files = _files(path) if is_folder(path) else [path]
    except PermissionError:  # said by the reader of scans
        return None
    with understood(path.name):
        found = [source for source in _sources(files) if source.sop_class in _SEGMENTATIONS]
    if len(found) > 1:
        listing = ", ".join(source.path.name for source in found[:5])
        raise DataError(
            f"The folder {path} holds {len(found)} DICOM segmentations: {listing}.", todo="Name one of the files."
        )
    return found[0] if found else None


def _look_at_brightness(sources: list[DicomFile], path: Path, notes: list[Note]) -> None:
    """Say that high values are dark, or refuse slices of which only some are so."""
    kinds = {str(source.dataset.get("PhotometricInterpretation")) for source in sources}
    if len(kinds) > 1:
        raise DataError(
            f"The slices of {path.name} store their values in different ways: {', '.join(sorted(kinds))}.",
            "They are not slices of one scan.",
            "Export the series again.",
        )
    if kinds == {"MONOCHROME1"}:
        said = f"{path.name} is stored with dark as the highest value (MONOCHROME1): it is read as stored."
        notes.append(Note("inverted", said))


def _series(folder: Path, notes: list[Note]) -> list[DicomFile]:
    """Return the files of the one series of a folder."""
    found, others = _sorted(_files(folder))
    if not found:
        found, more = _sorted([file for below in _folders(folder) for file in _files(below)])
        others += more
    if not found:
        kinds = ", ".join(f"{count} x {kind}" for kind, count in others.items())
        raise DataError(
            f"The folder {folder} holds no DICOM series" + (f" that is a scan ({kinds})." if kinds else "."),
            todo="Name a file, or the folder of one DICOM series.",
        )
    if len(found) > 1:
        listing = "; ".join(f"{_describe(series[0], folder)} ({len(series)} files)" for series in found)
        raise DataError(
            f"The folder {folder} holds {len(found)} DICOM series: {listing}.",
            todo="Move each series to a folder of its own and name that folder.",
        )
    place = found[0][0].path.parent
    if place != folder:
        said = f"The DICOM series of {folder.name} was found in its subfolder {place.relative_to(folder)}."
        notes.append(Note("deeper-folder", said))
    if others:
        kinds = ", ".join(f"{count} x {kind}" for kind, count in others.items())
        notes.append(
            Note("no-scans-beside", f"{folder.name} holds files that are not scans and are left out: {kinds}.")
        )
    return _once(found[0], notes)


def _sorted(files: Iterable[Path]) -> tuple[list[list[DicomFile]], Counter[str]]:
    """Return the scans among some files by series, and how many of what else there is."""
    series: dict[str, list[DicomFile]] = {}
    others: Counter[str] = Counter()
    for source in _sources(files):
        if source.sop_class in _NO_SCANS or not source.has_pixels:
            others[class_name(source)] += 1
        else:
            series.setdefault(source.series, []).append(source)
    return sorted(series.values(), key=lambda found: str(found[0].path)), others


def _sources(files: Iterable[Path]) -> list[DicomFile]:
    return [read_source(file) for file in files if is_dicom(file)]


def _once(series: list[DicomFile], notes: list[Note]) -> list[DicomFile]:
    """Leave out copies of a file: the same instance at the same place."""
    seen: dict[tuple[str, str], DicomFile] = {}
    for source in series:
        place = str(source.dataset.get("ImagePositionPatient"))
        seen.setdefault((source.instance or str(source.path), place), source)
    if copies := len(series) - len(seen):
        said = f"{copies} files of the series in {series[0].path.parent.name} are there twice: one of each is read."
        notes.append(Note("copies", said))
    return list(seen.values())


def _scan(source: DicomFile) -> DicomFile:
    """Refuse a file that is no scan."""
    if source.sop_class in _NO_SCANS or not source.has_pixels:
        raise DataError(
            f"{source.path.name} is not a scan but of the DICOM class {class_name(source)}.",
            todo=_NO_SCANS.get(source.sop_class, "Name a scan."),
        )
    return source


def _files(folder: Path) -> list[Path]:
    return sorted(Path(entry.path) for entry in os.scandir(folder) if entry.is_file())


def _folders(folder: Path) -> list[Path]:
    """Return the folders below one."""
    return sorted(Path(place, name) for place, names, _ in os.walk(folder) for name in names)


def _describe(source: DicomFile, folder: Path) -> str:
    text = str(source.dataset.get("SeriesDescription") or source.path.name).strip()[:60]
    deeper = source.path.parent
    return text if deeper == folder else f"{deeper.relative_to(folder)}: {text}"
