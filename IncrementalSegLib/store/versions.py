"""A model is a folder of immutable numbered versions; nothing in it is ever half-written.

    MODEL/model.json             name, id, standing of the versions: the only file that changes, replaced in one go
    MODEL/versions/0001/         weights.safetensors, record.json, ... and manifest.json, written last
    MODEL/unfinished/            checkpoint of a step that is not done yet
    MODEL/correcting/            rounds of a correction session that is not kept yet
    MODEL/.lock                  held by the one process that may write, with its number in it
    .new-*                       unfinished; ignored by readers, removed by the next writer

A new model is its owner's alone.  Who is given the right to read its folder may read what is written into it later.

A version is written under a temporary name, every file and then the folder fsynced, and renamed to its
number; only then may ``current`` point to it.  A version without a valid manifest does not exist.  Weights
and all other tensors are safetensors, never a pickle, and are read only after their sha256 was checked.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from IncrementalSegLib.errors import ModelError
from IncrementalSegLib.files import TEMPORARY, encode_json, remove_folder, remove_unfinished
from IncrementalSegLib.store import contents
from IncrementalSegLib.store.correcting import CORRECTING, Correcting, version_of, warn_of_corrections
from IncrementalSegLib.store.lock import LOCK, WriterLock
from IncrementalSegLib.store.manifest import MANIFEST
from IncrementalSegLib.store.reader import RECORD, VERSIONS, ModelReader, check_model
from IncrementalSegLib.store.record import VersionRecord
from IncrementalSegLib.store.state import MODEL, ModelState
from IncrementalSegLib.store.unfinished import UNFINISHED
from IncrementalSegLib.structures import StructureList
from IncrementalSegLib.types import Json

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["ModelFolder", "VersionRecord", "create_or_open", "open_model"]

_KIND = re.compile(r"[a-z][a-z0-9_]*")


def open_model(path: str | Path) -> ModelFolder:
    """Open a model for reading and writing.

    Raises:
        ModelError: There is no such folder, it is not a model, or a newer program wrote it.

    Example:
        >>> open_model("shoulder").current
        1
    """
    check_model(Path(path))
    return ModelFolder(Path(path))


def create_or_open(path: str | Path) -> ModelFolder:
    """Open a model to write to; a new one has its folder's name and appears on the disk with its first version.

    Args:
        path: The model's folder.

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
    return ModelFolder(path)


class ModelFolder(ModelReader):
    """The versions of one model; made by :func:`open_model` or :func:`create_or_open`.

    A version is *current* (in use), *accepted* (was in use), a *candidate* (not decided yet) or *rejected*.
    A rejected one stays on the disk and can still be accepted, by number only.

    Args:
        path: The model's folder.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._lock = WriterLock(path)

    @contextmanager
    def writing(self, timeout: float = 5.0) -> Iterator[None]:
        """Keep all other processes from writing; hold it around a whole step.  It may be nested.

        A model folder that does not exist is created, and removed again if no version was written.

        Args:
            timeout: Seconds to wait for another writer.

        Raises:
            ModelError: Another process writes, or the folder cannot be written.
        """
        outermost = not self._lock.is_held
        with self._lock.hold(timeout):
            if outermost:
                folders = [folder for _, folder in self._numbered()]  # where data was being taken out of a version
                inside = [self.path / name for name in (VERSIONS, UNFINISHED, CORRECTING)]
                remove_unfinished(self.path, *inside, *folders)
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
        files |= {f"{_checked(kind)}.json": encode_json(data) for kind, data in documents.items()}
        with self.writing():
            old = self._locate(reuse_from)[1] if reuse_from is not None else None
            if not (self.path / MODEL).is_file():
                ModelState.create(self.name).write(self.path)
            number = max((number for number, _ in self._numbered()), default=0) + 1
            record = replace(record, number=number)
            files[RECORD] = encode_json(record.to_json())
            target = self._folder(number)
            try:
                contents.publish(target, files, old)
                if record.accepted:
                    self._state().accepting(number).write(self.path)
            except BaseException:
                if self.current != number:
                    with suppress(OSError):
                        remove_folder(target)
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
            warn_of_corrections(self)
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

    def rename(self, name: str) -> None:
        """Give the model another name; its folder stays where it is.

        Raises:
            ModelError: The folder cannot be written.
        """
        with self.writing():
            if name != self.name:
                replace(self._state(), name=name).write(self.path)

    def accept(self, number: int) -> None:
        """Make a version the current one, whatever its status was; a correction session that it holds ends.

        Raises:
            UnknownNameError: There is no version of that number.
            ModelError: The version is damaged or the folder cannot be written.
        """
        with self.writing():
            self.verify(number)
            self._state().accepting(number).write(self.path)
            session = Correcting(self.path)
            if (asked := session.document("session")) and version_of(asked, self) == number:
                session.remove()

    def reject(self, number: int) -> None:
        """Mark a version as not to be used; its files stay.

        Raises:
            UnknownNameError: There is no version of that number.
            ModelError: It is the current one, or the folder cannot be written.
        """
        with self.writing():
            if self.status(number) == "current":
                raise ModelError(
                    f"Version {number} is in use and cannot be rejected.",
                    todo="Roll back to an earlier version or accept another one first.",
                )
            self._state().rejecting(number).write(self.path)

    def roll_back(self, number: int | None = None) -> int:
        """Make a version current that was it before.

        Args:
            number: The version; by default the nearest accepted one from which the current one descends.

        Returns:
            Its number.

        Raises:
            UnknownNameError: There is no version of that number.
            ModelError: It was never accepted, there is none to go back to, it is damaged, or the folder
                cannot be written.
        """
        with self.writing():
            number = self._accepted_ancestor() if number is None else number
            if (status := self.status(number)) in ("candidate", "rejected"):
                raise ModelError(
                    f"Version {number} is {'a candidate' if status == 'candidate' else 'rejected'}.",
                    "Rolling back leads to versions that were in use before.",
                    "Accept it instead, if you want to use it.",
                )
            self.accept(number)
        return number

    def _accepted_ancestor(self) -> int:
        for record in self.lineage()[-2::-1]:
            if self.status(record.number) == "accepted":
                return record.number
        raise ModelError(
            f"Version {self.current} descends from no version that is still accepted.",
            todo="Name the version to go back to; the command versions lists them.",
        )

    def _discard(self) -> None:
        with suppress(OSError):
            (self.path / MODEL).unlink(missing_ok=True)
            (self.path / VERSIONS).rmdir()


def _is_left_over(item: Path) -> bool:
    empty = item.name == VERSIONS and item.is_dir() and not any(not _is_left_over(part) for part in item.iterdir())
    return item.name in (LOCK, UNFINISHED) or item.name.startswith(TEMPORARY) or empty


def _checked(kind: str) -> str:
    if not _KIND.fullmatch(kind) or f"{kind}.json" in (RECORD, MANIFEST):
        raise ValueError(f"{kind!r} cannot be the name of a kind")
    return kind
