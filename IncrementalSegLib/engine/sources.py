"""The scans to segment, from what a person named: files, channels joined by ``;``, folders."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from IncrementalSegLib.errors import DataError, OptionError
from IncrementalSegLib.volumes.dicom_files import is_dicom
from IncrementalSegLib.volumes.io import is_scan_file, name_of
from IncrementalSegLib.volumes.payload import is_folder, is_there, permitted

LONGEST_NAME = 255
"""Bytes of a file name that every common file system takes."""

_CHANNEL = re.compile(r"(?P<case>.+)_\d{4}")


@dataclass(frozen=True)
class ScanSource:
    """One scan.

    Attributes:
        name: The name of its results, without an ending.
        paths: One file or DICOM folder, or one file per channel.
    """

    name: str
    paths: tuple[Path, ...]

    def __str__(self) -> str:
        return ";".join(map(str, self.paths))


def find_sources(
    scans: str | Path | Sequence[str | Path], warnings: list[str] | None = None, *, apart: bool = False
) -> list[ScanSource]:
    """Return the scans that are named.

    Args:
        scans: Files, folders with one DICOM series, or folders of scan files; channels of one scan joined by ``;``.
            In a folder ``CASE_0000.nii.gz``, ``CASE_0001.nii.gz``, ... are the channels of one scan, as in nnU-Net.
        warnings: That scans in subfolders are left out is appended here.
        apart: Scans of one name are called after their folders too, in place of an error.

    Raises:
        DataError: A folder is empty, or holds both DICOM files and others, or scans only in its subfolders.
        OptionError: No scan is named, one has no name or is named twice, or two have one name.
    """
    named = [scans] if isinstance(scans, str | Path) else list(scans)
    if "" in named:
        raise OptionError("A scan has an empty name.", "It would mean the current folder.", "Name a file or a folder.")
    told: list[str] = []
    sources = [source for item in named for source in _sources_of(item, told)]
    if not sources:
        raise OptionError("No scan is named.", todo="Name at least one file or folder.")
    places = Counter(tuple(map(os.path.realpath, source.paths)) for source in sources)
    for source in sources:
        if places[tuple(map(os.path.realpath, source.paths))] > 1:
            raise OptionError(f"The scan {source} is given twice.", todo="Name it once.")
    if apart:
        sources = _apart(_apart(sources, lambda path: path.parent.name), lambda path: str(path.parent))
    names = [source.name.casefold() for source in sources]
    for source in sources:
        if names.count(source.name.casefold()) > 1:
            raise OptionError(
                f"Two scans are called {source.name!r}.",
                "Their results would overwrite each other.",
                "Segment them into different folders.",
            )
    if warnings is not None:
        warnings += told
    return sources


def one_source(scan: str | Path, warnings: list[str] | None = None) -> ScanSource:
    """Return the one scan that is named; arguments and errors as for :func:`find_sources`.

    Raises:
        OptionError: A folder holds several scans.
    """
    sources = find_sources(scan, warnings)
    if len(sources) > 1:
        raise OptionError(f"The folder {scan} holds {len(sources)} scans.", todo="Name one of them.")
    return sources[0]


def _apart(sources: Sequence[ScanSource], folder: Callable[[Path], str]) -> list[ScanSource]:
    """Return the scans, those of one name with a folder before it."""
    counts = Counter(source.name.casefold() for source in sources)
    return [
        source
        if counts[source.name.casefold()] == 1
        else replace(source, name=f"{folder(source.paths[0].absolute())}/{name_of(source.paths[0])}")
        for source in sources
    ]


def _sources_of(named: str | Path, warnings: list[str]) -> list[ScanSource]:
    whole = Path(named)
    # A path may contain the mark between channels.
    paths = [whole] if is_there(whole) else [Path(part) for part in str(named).split(";") if part]
    if len(paths) == 1 and is_folder(paths[0]):
        return _in_folder(paths[0], warnings)
    return [ScanSource(_name(paths[0]), tuple(paths))] if paths else []


def _in_folder(folder: Path, warnings: list[str]) -> list[ScanSource]:
    with permitted(folder):
        files, series = _sorted(folder.iterdir())
    if files and series:
        raise DataError(
            f"The folder {folder} holds {len(series)} DICOM files and {len(files)} other scans.",
            todo="Name the files, or move the DICOM series to a folder of its own.",
        )
    below = [
        _sorted(Path(place, name) for name in names) for place, _, names in os.walk(folder) if Path(place) != folder
    ]
    left, deeper_series = sum(len(_grouped(found)) for found, _ in below), sum(bool(found) for _, found in below)
    if files or series:
        left += deeper_series
    elif not left and not any(folder.iterdir()):
        raise DataError(f"The folder {folder} is empty.", todo="Name a folder with scans.")
    elif left and not deeper_series:
        raise DataError(f"The folder {folder} holds no scan; its subfolders hold {left}.", todo="Name those folders.")
    if left:
        said = f"{left} scan{'s' if left > 1 else ''} in subfolders of {folder} {'are' if left > 1 else 'is'} left out"
        warnings.append(f"{said}: name those folders to segment them too.")
    return _grouped(files) if files else [ScanSource(_name(folder), (folder,))]


def _sorted(paths: Iterable[Path]) -> tuple[list[Path], list[Path]]:
    """Return the scan files and the DICOM files among some paths, in order."""
    inside = sorted(path for path in paths if path.is_file() and not path.name.startswith("."))
    files = [path for path in inside if is_scan_file(path)]
    others = (path for path in inside if not is_scan_file(path) and path.name != "DICOMDIR")
    return files, [path for path in others if path.suffix.lower() == ".dcm" or is_dicom(path)]


def _grouped(files: Sequence[Path]) -> list[ScanSource]:
    matches = [_CHANNEL.fullmatch(name_of(path)) for path in files]
    if not all(matches):
        return [ScanSource(_name(path), (path,)) for path in files]
    groups: dict[str, list[Path]] = {}
    for match, path in zip(matches, files, strict=True):
        if match is not None:
            groups.setdefault(match["case"], []).append(path)
    return [ScanSource(case, tuple(paths)) for case, paths in groups.items()]


def _name(path: Path) -> str:
    return name_of(path.resolve() if path.name in ("", "..") else path) or "scan"
