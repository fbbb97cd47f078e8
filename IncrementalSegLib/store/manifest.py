"""The manifest of a version: which files it consists of, with the sha256 of each; written last.

Standard library only, so that a front end without torch can check a model.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from IncrementalSegLib.errors import DataError
from IncrementalSegLib.files import damaged, plain_errors, read_json
from IncrementalSegLib.store.format import FORMAT, require_format
from IncrementalSegLib.types import Json

MANIFEST = "manifest.json"
"""Name of the manifest in the folder of a version."""

_PLAIN_NAME = re.compile(r"[a-z][a-z0-9_]*\.(json|safetensors)")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class FileEntry:
    """Size and checksum of a file when it was written.

    Attributes:
        sha256: 64 hexadecimal digits.
        size: Bytes.
        file: Its name on the disk where that is another: ``store/rewrite.py`` put it in the place of the first.
    """

    sha256: str
    size: int
    file: str | None = None

    @classmethod
    def of(cls, data: bytes) -> FileEntry:
        """Describe ``data``."""
        return cls(hashlib.sha256(data).hexdigest(), len(data))

    def to_json(self) -> Json:
        """Return the entry as a JSON object."""
        return {"sha256": self.sha256, "size": self.size} | ({} if self.file is None else {"file": self.file})


@dataclass(frozen=True)
class Manifest:
    """The files of a version, by name, without the manifest itself."""

    files: Mapping[str, FileEntry]

    def to_json(self) -> Json:
        """Return the manifest as a JSON object."""
        return {"format": FORMAT, "files": {name: entry.to_json() for name, entry in sorted(self.files.items())}}

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Read the manifest of the version in ``folder``.

        Raises:
            ModelError: It is missing, damaged, of another format, or names a file outside the folder.
        """
        path = folder / MANIFEST
        data = read_json(path)
        require_format(data, path)
        files = data.get("files")
        if not isinstance(files, dict) or not files:
            raise damaged(path, "it lists no files")
        return cls({name: _entry(name, item, path) for name, item in files.items()})

    def path(self, folder: Path, name: str) -> Path:
        """Return where one file of the version in ``folder`` lies."""
        return folder / (self.files[name].file or name)

    def read_file(self, folder: Path, name: str) -> bytes:
        """Return the bytes of one file of the version in ``folder``, checked.

        Raises:
            ModelError: The file is missing or differs from what was written.
        """
        path = self.path(folder, name)
        if not path.is_file():
            raise damaged(path, "it is missing")
        with plain_errors(path, "read"):
            data = path.read_bytes()
        entry = self.files[name]
        if len(data) != entry.size:
            raise damaged(path, f"it has {len(data)} bytes instead of {entry.size}")
        if hashlib.sha256(data).hexdigest() != entry.sha256:
            raise damaged(path, "its sha256 differs from the manifest's")
        return data


def fingerprint(paths: Iterable[Path]) -> str:
    """Return one sha256 over the contents of files, whatever their names, order and place on the disk.

    Args:
        paths: Files, or folders (DICOM series) whose files count.

    Returns:
        64 hexadecimal digits.

    Raises:
        DataError: A file cannot be read.
    """
    lines = sorted(line for path in paths for line in _lines(Path(path)))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file (64 hexadecimal digits), read in pieces.

    Raises:
        DataError: It cannot be read.
    """
    with plain_errors(path, "read", DataError), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _lines(path: Path) -> list[str]:
    if not path.is_dir():
        return [sha256_of(path)]
    return [sha256_of(item) for item in path.rglob("*") if item.is_file()]


def _entry(name: str, item: object, path: Path) -> FileEntry:
    if not _PLAIN_NAME.fullmatch(name):
        raise damaged(path, f"it lists a file called {name!r}")
    if isinstance(item, dict):
        sha256, size, file = item.get("sha256"), item.get("size"), item.get("file", name)
        plain = isinstance(file, str) and _PLAIN_NAME.fullmatch(file)
        if isinstance(sha256, str) and _SHA256.fullmatch(sha256) and isinstance(size, int) and size >= 0 and plain:
            return FileEntry(sha256, size, None if file == name else file)
    raise damaged(path, f"its entry for {name} is {item!r}")
