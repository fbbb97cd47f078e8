"""Reading a model without a lock: its versions, their records, tensors and documents."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from IncrementalSegLib.errors import CommandRef, Hint, ModelError, UnknownNameError
from IncrementalSegLib.store import contents
from IncrementalSegLib.store.manifest import MANIFEST, sha256_of
from IncrementalSegLib.store.record import VersionRecord
from IncrementalSegLib.store.state import MODEL, ModelState, Status
from IncrementalSegLib.store.unfinished import UNFINISHED
from IncrementalSegLib.types import Json

if TYPE_CHECKING:
    from torch import Tensor

VERSIONS = "versions"
RECORD = "record.json"


def check_model(path: Path) -> None:
    """Refuse a folder that is no model.

    Raises:
        ModelError: There is no such folder, it is not a model, or a newer program wrote it.
    """
    if not path.is_dir():
        what = f"{path} is a file, not a model folder." if path.exists() else f"There is no model folder {path}."
        raise ModelError(what, todo=Hint("Check the path, or create a model with ", CommandRef("learn"), "."))
    if not (path / MODEL).is_file():
        if (path / UNFINISHED).is_dir():
            raise ModelError(
                f"{path} holds no version yet.",
                "Its first step was begun and never finished.",
                Hint("Continue it with ", CommandRef("resume", {"model": str(path)}), "."),
            )
        raise ModelError(f"{path} is not a model folder.", f"It holds no {MODEL}.", "Name the folder that learn made.")
    ModelState.read(path)


class ModelReader:
    """The versions of one model.

    Args:
        path: The model's folder; it need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def name(self) -> str:
        """The model's name; a new one has that of its folder."""
        return self._state().name

    @property
    def current(self) -> int:
        """Number of the version in use; 0 while there is none."""
        return self._state().current

    def numbers(self) -> list[int]:
        """Return the numbers of all versions, ascending."""
        return [number for number, folder in self._numbered() if (folder / MANIFEST).is_file()]

    @property
    def newest(self) -> int:
        """Number of the newest version; 0 before the first."""
        return max(self.numbers(), default=0)

    def record(self, number: int | None = None) -> VersionRecord:
        """Return the record of a version, by default the current one.

        Raises:
            UnknownNameError: There is no version of that number.
            ModelError: There is no version yet, or the file is damaged.
        """
        number, folder = self._locate(number)
        record = VersionRecord.from_json(contents.read_document(folder, RECORD))
        return replace(record, number=number, accepted=number in self._state().accepted)

    def status(self, number: int) -> Status:
        """Return where a version stands: current, accepted (was current), candidate or rejected.

        Raises:
            UnknownNameError: There is no version of that number.
        """
        return self._state().status(self._locate(number)[0])

    def fingerprint(self, number: int | None = None) -> str:
        """Return one sha256 over all that a version, by default the current one, consists of.

        Raises:
            UnknownNameError: There is no version of that number.
            ModelError: There is no version yet.
        """
        return sha256_of(self._locate(number)[1] / MANIFEST)

    def lineage(self, number: int | None = None) -> list[VersionRecord]:
        """Return the records from the first version to ``number`` along the parents that still exist."""
        numbers = self.numbers()
        records = [self.record(number)]
        while (parent := records[-1].parent) in numbers:
            records.append(self.record(parent))
        return records[::-1]

    def tensors(self, kind: str, number: int | None = None) -> dict[str, Tensor]:
        """Return the tensors of one kind, on the CPU; empty where the version keeps none.

        Args:
            kind: ``weights``, ``prototypes``, ``exemplars`` or ``memory``.
            number: Of the version; by default the current one.

        Raises:
            UnknownNameError: There is no version of that number.
            ModelError: The file is missing or damaged.
        """
        _, folder = self._locate(number)
        return contents.read_tensors(folder, f"{kind}.safetensors")

    def document(self, kind: str, number: int | None = None) -> Json:
        """Return one JSON document; empty where the version keeps none.

        Args:
            kind: For example ``exemplars``, ``prototypes``, ``memory``, ``scores``, ``curve``.
            number: Of the version; by default the current one.

        Raises:
            UnknownNameError: There is no version of that number.
            ModelError: The file is missing or damaged.
        """
        _, folder = self._locate(number)
        return contents.read_document(folder, f"{kind}.json")

    def folder_of(self, number: int | None = None) -> Path:
        """Return the folder of a version, by default of the current one.

        Raises:
            UnknownNameError: There is no version of that number.
        """
        return self._locate(number)[1]

    def verify(self, number: int | None = None) -> None:
        """Check every file of a version against its manifest.

        Raises:
            UnknownNameError: There is no version of that number.
            ModelError: A file is missing or differs; the message names it.
        """
        _, folder = self._locate(number)
        contents.verify(folder)
        self.record(number)

    def _state(self) -> ModelState:
        if not (self.path / MODEL).exists():
            return ModelState(self.path.absolute().name, "", "")
        return ModelState.read(self.path)

    def _numbered(self) -> list[tuple[int, Path]]:
        versions = self.path / VERSIONS
        if not versions.is_dir():
            return []
        return sorted((int(item.name), item) for item in versions.iterdir() if re.fullmatch(r"\d{4,9}", item.name))

    def _locate(self, number: int | None) -> tuple[int, Path]:
        asked, number = number, self.current if number is None else number
        if asked is None and number == 0:
            raise ModelError(f"The model {self.path} holds no version yet.", todo="Teach it a structure with learn.")
        folder = self._folder(number)
        if not (folder / MANIFEST).is_file():
            raise UnknownNameError("version", str(number), [str(item) for item in self.numbers()])
        return number, folder

    def _folder(self, number: int) -> Path:
        return self.path / VERSIONS / f"{number:04d}"
