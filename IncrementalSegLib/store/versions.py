"""A model is a folder of immutable numbered versions; nothing in it is ever half-written.

    MODEL/model.json             name, id, current version: the only file that changes, replaced in one go
    MODEL/versions/0001/         weights.safetensors, record.json, ... and manifest.json, written last
    MODEL/.lock                  held by the one process that may write
    .new-*                       unfinished; ignored by readers, removed by the next writer

A version is written under a temporary name, every file and then the folder fsynced, and renamed to its
number; only then may ``current`` point to it.  A version without a valid manifest does not exist.  Weights
and all other tensors are safetensors, never a pickle, and are read only after their sha256 was checked.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from IncrementalSegLib.errors import ModelError, UnknownNameError
from IncrementalSegLib.store import atomic, contents
from IncrementalSegLib.store.lock import LOCK, WriterLock
from IncrementalSegLib.store.manifest import MANIFEST
from IncrementalSegLib.store.record import VersionRecord
from IncrementalSegLib.store.state import MODEL, ModelState
from IncrementalSegLib.structures import StructureList
from IncrementalSegLib.types import Json

__all__ = ["ModelFolder", "VersionRecord", "create_or_open", "open_model"]

VERSIONS = "versions"
RECORD = "record.json"

_KIND = re.compile(r"[a-z][a-z0-9_]*")


def open_model(path: str | Path) -> ModelFolder:
    """Open a model for reading and writing.

    Raises:
        ModelError: There is no such folder, it is not a model, or a newer program wrote it.

    Example:
        >>> open_model("shoulder").current
        1
    """
    path = Path(path)
    if not path.is_dir():
        what = f"{path} is a file, not a model folder." if path.exists() else f"There is no model folder {path}."
        raise ModelError(what, todo="Check the path, or create a model with: incrementalseg learn.")
    if not (path / MODEL).is_file():
        raise ModelError(f"{path} is not a model folder.", f"It holds no {MODEL}.", "Name the folder that learn made.")
    folder = ModelFolder(path)
    ModelState.read(path)
    return folder


def create_or_open(path: str | Path, name: str | None = None) -> ModelFolder:
    """Open a model to write to; one that does not exist yet appears on the disk with its first version.

    Args:
        path: The model's folder.
        name: Name of a new model; by default the folder's.

    Raises:
        ModelError: The path is a file, a folder with other things in it, or cannot be written.
    """
    path = Path(path)
    if (path / MODEL).exists():
        open_model(path)
    elif path.is_dir():
        others = sorted(item.name for item in path.iterdir() if not _is_left_over(item))
        if others:
            raise ModelError(
                f"{path} is not a model folder and not empty.",
                f"It holds {', '.join(others[:3])}{' and more' if len(others) > 3 else ''} but no {MODEL}.",
                "Choose another folder.",
            )
    elif path.exists():
        raise ModelError(f"{path} is a file, not a folder.", todo="Choose another path for the model.")
    ground = next(item for item in (path, *path.absolute().parents) if item.exists())
    if not os.access(ground, os.W_OK):
        raise ModelError(
            f"Cannot write {path}.", "The folder or its disk is read-only for you.", "Choose another folder."
        )
    return ModelFolder(path, name)


class ModelFolder:
    """The versions of one model; made by :func:`open_model` or :func:`create_or_open`.

    Args:
        path: The model's folder.
        name: Name of the model, used when it is created.
    """

    def __init__(self, path: Path, name: str | None = None) -> None:
        self.path = path
        self._new_name = name or path.absolute().name
        self._lock = WriterLock(path)

    @property
    def name(self) -> str:
        """The model's name."""
        return self._state().name

    @property
    def current(self) -> int:
        """Number of the version in use; 0 while there is none."""
        return self._state().current

    def numbers(self) -> list[int]:
        """Return the numbers of all versions, ascending."""
        return [number for number, folder in self._numbered() if (folder / MANIFEST).is_file()]

    def record(self, number: int | None = None) -> VersionRecord:
        """Return the record of a version, by default the current one.

        Raises:
            UnknownNameError: There is no version of that number.
            ModelError: There is no version yet, or the file is damaged.
        """
        number, folder = self._locate(number)
        record = VersionRecord.from_json(contents.read_document(folder, RECORD))
        return replace(record, number=number, accepted=number in self._state().accepted)

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

    def verify(self, number: int | None = None) -> None:
        """Check every file of a version against its manifest.

        Raises:
            UnknownNameError: There is no version of that number.
            ModelError: A file is missing or differs; the message names it.
        """
        _, folder = self._locate(number)
        contents.verify(folder)
        self.record(number)

    @contextmanager
    def writing(self, timeout: float = 5.0) -> Iterator[None]:
        """Keep all other processes from writing; hold it around a whole step.  It may be nested.

        A model folder that does not exist is created, and removed again if no version was written.

        Args:
            timeout: Seconds to wait for another writer.

        Raises:
            ModelError: Another process writes, or the folder cannot be written.
        """
        with self._lock.hold(timeout):
            new = not (self.path / MODEL).exists()
            try:
                yield
            finally:
                if new and not self.numbers():
                    self._discard()

    def write(
        self,
        record: VersionRecord,
        tensors: Mapping[str, Mapping[str, Tensor]],
        documents: Mapping[str, Json],
        reuse_from: int | None = None,
    ) -> VersionRecord:
        """Write a new version and, if ``record.accepted``, make it the current one.

        Args:
            record: Its number is given here.
            tensors: Kind -> name -> tensor on any device; an empty kind drops what ``reuse_from`` has.
            documents: Kind -> JSON object.
            reuse_from: Version whose files are taken over where nothing is given for them.

        Returns:
            The record with its number.

        Raises:
            ModelError: It cannot be written; what was there is unchanged.
        """
        files = {f"{_checked(kind)}.safetensors": contents.encode_tensors(kind, tensors[kind]) for kind in tensors}
        files |= {f"{_checked(kind)}.json": atomic.encode_json(data) for kind, data in documents.items()}
        with self.writing():
            old = self._locate(reuse_from)[1] if reuse_from is not None else None
            atomic.remove_unfinished(self.path, self.path / VERSIONS)
            if not (self.path / MODEL).is_file():
                ModelState.create(self._new_name).write(self.path)
            number = max((number for number, _ in self._numbered()), default=0) + 1
            record = replace(record, number=number)
            files[RECORD] = atomic.encode_json(record.to_json())
            target = _version_folder(self.path, number)
            try:
                contents.publish(target, files, old)
                if record.accepted:
                    self.accept(number)
            except BaseException:
                if self.current != number:
                    shutil.rmtree(target, ignore_errors=True)
                raise
        return record

    def edit(
        self,
        change: Json,
        *,
        tensors: Mapping[str, Mapping[str, Tensor]] | None = None,
        documents: Mapping[str, Json] | None = None,
        structures: StructureList | None = None,
        architecture: Json | None = None,
        scores: Json | None = None,
    ) -> VersionRecord:
        """Write a version that differs from the current one only in what is given, and accept it.

        Args:
            change: What was done, kept in the record, for example ``{"action": "pin", "id": ...}``.
            tensors: Kinds that change; the others are shared with the current version.
            documents: Documents that change.
            structures: New list of structures.
            architecture: New architecture.
            scores: New scores.

        Raises:
            ModelError: There is no version to edit, or it cannot be written.
        """
        with self.writing():
            old = self.record()
            record = VersionRecord(
                parent=old.number,
                kind="edit",
                output=old.output,
                structures=old.structures if structures is None else structures,
                architecture=old.architecture if architecture is None else architecture,
                preprocessing=old.preprocessing,
                step=change,
                scores=old.scores if scores is None else scores,
            )
            return self.write(record, tensors or {}, documents or {}, reuse_from=old.number)

    def accept(self, number: int) -> None:
        """Make a version the current one.

        Raises:
            UnknownNameError: There is no version of that number.
            ModelError: The version is damaged or the folder cannot be written.
        """
        with self.writing():
            self.record(number)
            state = self._state()
            accepted = tuple(sorted({*state.accepted, number}))
            replace(state, current=number, accepted=accepted).write(self.path)

    def _state(self) -> ModelState:
        if not (self.path / MODEL).exists():
            return ModelState(self._new_name, "", "")
        return ModelState.read(self.path)

    def _numbered(self) -> list[tuple[int, Path]]:
        versions = self.path / VERSIONS
        if not versions.is_dir():
            return []
        return sorted((int(item.name), item) for item in versions.iterdir() if re.fullmatch(r"\d{4,9}", item.name))

    def _locate(self, number: int | None) -> tuple[int, Path]:
        number = self.current if number is None else number
        if number == 0:
            raise ModelError(f"The model {self.path} holds no version yet.", todo="Teach it a structure with learn.")
        known = self.numbers()
        if number not in known:
            raise UnknownNameError("version", str(number), [str(item) for item in known])
        return number, _version_folder(self.path, number)

    def _discard(self) -> None:
        with suppress(OSError):
            (self.path / MODEL).unlink(missing_ok=True)
            (self.path / VERSIONS).rmdir()


def _version_folder(model: Path, number: int) -> Path:
    return model / VERSIONS / f"{number:04d}"


def _is_left_over(item: Path) -> bool:
    empty = item.name == VERSIONS and item.is_dir() and not any(not _is_left_over(part) for part in item.iterdir())
    return item.name == LOCK or item.name.startswith(atomic.TEMPORARY) or empty


def _checked(kind: str) -> str:
    if not _KIND.fullmatch(kind) or f"{kind}.json" in (RECORD, MANIFEST):
        raise ValueError(f"{kind!r} cannot be the name of a kind")
    return kind
