"""The one layout that a package may have; files from elsewhere are read with distrust.

Nothing is ever extracted by name: the members are few, known and read into memory.  Standard library only.
"""

from __future__ import annotations

import re
import stat
import struct
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from IncrementalSegLib.errors import ModelError
from IncrementalSegLib.files import plain_errors
from IncrementalSegLib.store.manifest import MANIFEST

DOCUMENTS = ("record", "history", "prototypes", "memory", "exemplars", "domain", "card")
TENSORS = ("weights", "prototypes", "memory", "exemplars")
MEMBERS = {MANIFEST, "card.md", *(f"{name}.json" for name in DOCUMENTS), *(f"{name}.safetensors" for name in TENSORS)}
"""All names that a member may have."""

MOST_BYTES = 2_000_000_000
"""Size of the largest package; beyond it a zip needs extensions that this layout does without."""

MOST_DOCUMENT = 1_000_000
"""Bytes of the largest document; an honest one of a thousand scans is smaller."""

_END = struct.Struct("<4s4H2LH")  # end of central directory, without comment
_LOCAL, _CENTRAL = 30, 46  # bytes of a member's two headers beside its name
_MOST_DIRECTORY = len(MEMBERS) * 512  # bytes of the table of contents that are read at most


def refused(path: Path, reason: str, why: str = "") -> ModelError:
    """Return the error for a package that is not taken."""
    return ModelError(
        f"The package {path.name} was refused: {reason}.",
        why,
        "Nothing was imported. Ask for a new export of the model.",
    )


def read_members(path: Path) -> dict[str, bytes]:
    """Return the members of a package: name -> bytes, with the manifest.

    Raises:
        ModelError: It cannot be read, is not a zip, or deviates from the layout; the message says how.
    """
    if not path.is_file():
        what = f"{path} is not a file." if path.exists() else f"There is no file {path}."
        raise ModelError(what, todo="Name the .iseg file that export made.")
    with plain_errors(path, "read"), path.open("rb") as file:
        size = path.stat().st_size
        if size > MOST_BYTES + _MOST_DIRECTORY:
            raise refused(path, f"it has {size} bytes, packages have at most {MOST_BYTES}")
        start, length = _check_frame(path, file, size)
        try:
            with zipfile.ZipFile(file) as archive:
                infos = archive.infolist()
                for info in infos:
                    _check_member(path, info)
                _check_names(path, infos)
                _check_layout(path, file, infos, start, length)
                return {info.filename: archive.read(info) for info in infos}
        except (zipfile.BadZipFile, EOFError, ValueError, NotImplementedError, RuntimeError, struct.error) as error:
            raise refused(path, f"it is not a sound zip file ({str(error).strip().rstrip('.')})") from error


def _check_frame(path: Path, file: BinaryIO, size: int) -> tuple[int, int]:
    """Check first and last bytes, before anything large is read; return where the table of contents lies."""
    if size == 0:
        raise refused(path, "it is empty")
    if file.read(2) != b"PK":
        raise refused(path, "it is not a zip file", "An .iseg package is a zip of JSON and safetensors files.")
    file.seek(max(0, size - _END.size))
    tail = file.read()
    if len(tail) < _END.size or not tail.startswith(b"PK\5\6"):
        raise refused(path, "its end is missing, or something was appended to it")
    _, disk, first, here, entries, length, start, comment = _END.unpack(tail)
    if disk or first or here != entries or comment:
        raise refused(path, "it is one part of several, or carries a comment")
    if 0xFFFFFFFF in (start, length) or entries == 0xFFFF:
        raise refused(path, "it uses the zip64 extension")
    if entries > 2 * len(MEMBERS) or length > _MOST_DIRECTORY:  # up to there the names are told
        raise refused(path, f"it lists {entries} members, packages have at most {len(MEMBERS)}")
    if start + length + _END.size != size:
        raise refused(path, "its parts do not add up to its size", "It is cut short, or something was put before it.")
    file.seek(0)
    return start, length


def _check_member(path: Path, info: zipfile.ZipInfo) -> None:
    """Refuse a member by its name, kind or coding, with the plainest reason there is."""
    name = info.orig_filename
    kind = stat.S_IFMT(info.external_attr >> 16)
    reasons = {
        "has an absolute name": name.startswith(("/", "\\")) or re.match(r"[A-Za-z]:", name),
        "has a name that leads out of its folder": ".." in re.split(r"[/\\]", name),
        "is in a folder": "/" in name or "\\" in name,
        "is a link": kind == stat.S_IFLNK,
        "is not a regular file": kind not in (0, stat.S_IFREG),
        "is encrypted": info.flag_bits & 0x41,
        "is another archive": name.casefold().endswith((".zip", ".iseg", ".tar", ".gz", ".7z")),
        "is not among the files that a package has": name not in MEMBERS and name.casefold() not in MEMBERS,
        "is compressed; members are stored as they are": info.compress_type != zipfile.ZIP_STORED,
        "states two sizes": info.compress_size != info.file_size,
        f"has {info.file_size} bytes; {MOST_DOCUMENT} are allowed": _is_document(name)
        and info.file_size > MOST_DOCUMENT,
    }
    for reason, applies in reasons.items():
        if applies:
            raise refused(path, f"its member {name[:100]!r} {reason}")


def _is_document(name: str) -> bool:
    return name.casefold().endswith((".json", ".md"))


def _check_names(path: Path, infos: Sequence[zipfile.ZipInfo]) -> None:
    names = [info.orig_filename for info in infos]
    for name in names:
        if sum(name.casefold() == other.casefold() for other in names) > 1:
            raise refused(path, f"its member {name!r} is there twice")
        if name not in MEMBERS:
            raise refused(path, f"its member {name[:100]!r} is not written in lower case")


def _check_layout(path: Path, file: BinaryIO, infos: Sequence[zipfile.ZipInfo], start: int, length: int) -> None:
    """Check that the members follow each other without gap or overlap and that both their headers agree."""
    at = 0
    for info in infos:
        header = info.FileHeader(zip64=False)
        file.seek(info.header_offset)
        if info.header_offset != at or file.read(len(header)) != header:
            raise refused(path, f"its member {info.filename!r} is not described as export does it")
        at += len(header) + info.file_size
    names = sum(len(info.filename) for info in infos)
    if at != start or length != _CENTRAL * len(infos) + names:
        raise refused(path, "there is something between its members")
