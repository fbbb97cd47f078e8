"""DICOM files by pydicom: the header of one file, and a plain error where it is damaged."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from IncrementalSegLib.errors import DataError, IncrementalSegError
from IncrementalSegLib.volumes.memory import require_memory
from IncrementalSegLib.volumes.payload import require_file

if TYPE_CHECKING:
    from pydicom import Dataset

_DEFLATED = ("1.2.840.10008.1.2.1.99",)
_IMPLICIT = "1.2.840.10008.1.2"
_MOST_DEFLATED = 1032
"""Bytes that one byte of a deflated file can hold at most."""


@dataclass(frozen=True)
class DicomFile:
    """One file without its pixels.

    Attributes:
        path: The file.
        dataset: Its header.
        size: Bytes on the disk.
    """

    path: Path
    dataset: Dataset
    size: int

    @property
    def sop_class(self) -> str:
        """UID of what the file is."""
        return str(self.dataset.get("SOPClassUID", ""))

    @property
    def series(self) -> str:
        """UID of the series."""
        return str(self.dataset.get("SeriesInstanceUID", ""))

    @property
    def instance(self) -> str:
        """UID of the file; empty where it has none."""
        return str(self.dataset.get("SOPInstanceUID", ""))

    @property
    def has_pixels(self) -> bool:
        """Whether the file describes pixels."""
        return "Rows" in self.dataset and "Columns" in self.dataset

    @property
    def syntax(self) -> str:
        """UID of how the pixels are packed."""
        return str(self.dataset.file_meta.TransferSyntaxUID)


def is_dicom(path: Path) -> bool:
    """Tell by its first bytes whether a file is DICOM, with or without the usual preamble."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            head = file.read(132)
    except OSError:  # said by the reader of the ending
        return False
    if head[128:] == b"DICM":
        return True
    # Without a preamble, a file begins with the length or an attribute of group 0008; voxels beside a header may, too.
    voxels = path.suffix.lower() == ".img" and any(path.with_suffix(end).exists() for end in (".hdr", ".hdr.gz"))
    return not voxels and head[:2] == b"\x08\x00" and head[2:4] in (b"\0\0", b"\x05\0", b"\x08\0")


def read_source(path: Path) -> DicomFile:
    """Read the header of a file.

    Raises:
        DataError: pydicom is not installed, or cannot understand the file.
    """
    return DicomFile(path, read_dataset(path, pixels=False), require_file(path))


def read_dataset(path: Path, *, pixels: bool) -> Dataset:
    """Read a file, with or without its pixels.

    Raises:
        DataError: pydicom is not installed, or cannot understand the file.
    """
    try:
        import pydicom
        from pydicom.filereader import read_file_meta_info
    except ImportError as error:
        raise DataError(
            f"{path.name} is a DICOM file, and pydicom is not installed.", todo='pip install "incrementalseg[dicom]"'
        ) from error
    size = require_file(path)
    with understood(path.name):
        with path.open("rb") as file:
            bare = file.read(132)[128:] != b"DICM"
        if not bare and str(read_file_meta_info(path).get("TransferSyntaxUID", "")) in _DEFLATED:
            require_memory(path.name, size * _MOST_DEFLATED, 1)  # pydicom unpacks all of it at once
        dataset = pydicom.dcmread(path, stop_before_pixels=not pixels, force=bare)
        if "TransferSyntaxUID" not in dataset.file_meta:
            dataset.file_meta.TransferSyntaxUID = pydicom.uid.UID(_IMPLICIT)
        return dataset


def class_name(source: DicomFile) -> str:
    """Return the name of what a file is, as DICOM calls it."""
    from pydicom.uid import UID

    return UID(source.sop_class).name.removesuffix(" Storage") if source.sop_class else "without a class"


@contextmanager
def understood(name: str) -> Iterator[None]:
    """Turn what pydicom raises for a damaged file into a sentence, and hold its warnings and its log back."""
    log = logging.getLogger("pydicom")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (IncrementalSegError, PermissionError):
        raise
    except Exception as error:  # pydicom has no base of its own errors, and damaged values raise any
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise DataError(
            f"{name} cannot be understood as DICOM ({reason}).", todo="It is damaged or incomplete: export it again."
        ) from error
    finally:
        log.setLevel(level)
