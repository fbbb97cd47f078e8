"""The scans to segment, from what a person named: files, channels joined by ``;``, folders."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from IncrementalSegLib.errors import DataError, OptionError
from IncrementalSegLib.volumes.io import is_scan_file, name_of

LONGEST_NAME = 255
"""Bytes of a file name that every common file system takes."""

_CHANNEL = re.compile(r"(?P<case>.+)_\d{4}")


@dataclass(frozen=True)
class Source:
    """One scan.

    Attributes:
        name: The name of its results, without an ending.
        paths: One file or DICOM folder, or one file per channel.
    """

    name: str
    paths: tuple[Path, ...]

    def __str__(self) -> str:
        return ";".join(map(str, self.paths))


def find_sources(scans: str | Path | Sequence[str | Path]) -> list[Source]:
    """Return the scans that are named.

    Args:
        scans: Files, folders with one DICOM series, or folders of scan files; channels of one scan joined by ``;``.
            In a folder ``CASE_0000.nii.gz``, ``CASE_0001.nii.gz``, ... are the channels of one scan, as in nnU-Net.

    Raises:
        DataError: A folder holds both DICOM files and others.
        OptionError: No scan is named, or two have one name.
    """
    named = [scans] if isinstance(scans, str | Path) else list(scans)
    sources = [source for item in named for source in _sources_of(item)]
    if not sources:
        raise OptionError("No scan is named.", todo="Name at least one file or folder.")
    names = [source.name.casefold() for source in sources]
    for source in sources:
        if names.count(source.name.casefold()) > 1:
            raise OptionError(
                f"Two scans are called {source.name!r}.",
                "Their results would overwrite each other.",
                "Segment them into different folders.",
            )
    return sources


def _sources_of(named: str | Path) -> Iterable[Source]:
    whole = Path(named)
    # A path may contain the mark between channels.
    paths = [whole] if whole.exists() else [Path(part) for part in str(named).split(";") if part]
    if len(paths) == 1 and paths[0].is_dir():
        files = _scan_files(paths[0])
        if files:
            return _grouped(files)
    return [Source(_name(paths[0]), tuple(paths))]


def _scan_files(folder: Path) -> list[Path]:
    """Return the scan files of a folder; none where it is a DICOM folder."""
    try:
        inside = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    except PermissionError as error:
        raise DataError(f"{folder} may not be read by you.", todo="Change its rights, or copy it.") from error
    files = [path for path in inside if is_scan_file(path)]
    series = [path for path in inside if path.suffix.lower() == ".dcm"]
    if files and series:
        raise DataError(
            f"The folder {folder} holds {len(series)} DICOM files and {len(files)} other scans.",
            todo="Name the files, or move the DICOM series to a folder of its own.",
        )
    return files


def _grouped(files: Sequence[Path]) -> list[Source]:
    matches = [_CHANNEL.fullmatch(name_of(path)) for path in files]
    if not all(matches):
        return [Source(_name(path), (path,)) for path in files]
    groups: dict[str, list[Path]] = {}
    for match, path in zip(matches, files, strict=True):
        if match is not None:
            groups.setdefault(match["case"], []).append(path)
    return [Source(case, tuple(paths)) for case, paths in groups.items()]


def _name(path: Path) -> str:
    return name_of(path.resolve() if path.name in ("", "..") else path) or "scan"
