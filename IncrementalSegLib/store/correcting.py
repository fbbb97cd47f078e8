"""A session of corrections that is not kept yet: ``MODEL/correcting/``, one folder for each of the last rounds.

Each round is a folder with a manifest like that of a version, published under the next number.  So a killed process
loses at most the running round, and to undo a round is to remove its folder.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from IncrementalSegLib.errors import CommandRef
from IncrementalSegLib.files import encode_json, plain_errors, remove_folder
from IncrementalSegLib.store import contents
from IncrementalSegLib.types import Json

if TYPE_CHECKING:
    from torch import Tensor

    from IncrementalSegLib.store.reader import ModelReader

CORRECTING = "correcting"
"""Name of the folder inside a model's."""

ROUNDS_KEPT = 5
"""Rounds on the disk: all but one of them can be undone, and the first round always if it is among them."""

log = logging.getLogger(__name__)


def version_of(session: Json, reader: ModelReader) -> int | None:
    """Return the number of the newest version that holds what a session had learned at its last round, if any.

    Args:
        session: Its document.
        reader: The model.

    Raises:
        ModelError: A version is damaged.
    """
    newer = (number for number in reversed(reader.numbers()) if number > session["parent"])
    return next((number for number in newer if reader.record(number).step.get("id") == session["id"]), None)


def has_ended(session: Json, reader: ModelReader) -> bool:
    """Return whether a version that holds what a session had learned is or was in use, or is about to be.

    A candidate that the gate held back leaves the session open.

    Raises:
        ModelError: A version is damaged.
    """
    number = version_of(session, reader)
    if number is None:
        return False
    return bool(reader.document("record", number)["accepted"]) or reader.record(number).accepted


def warn_of_corrections(reader: ModelReader) -> None:
    """Warn that an open session cannot be kept once another version than that it began from is in use.

    Raises:
        ModelError: A file is damaged.
    """
    session = Correcting(reader.path).document("session")
    if session and session["parent"] == reader.current and not has_ended(session, reader):
        log.warning(
            "Corrections of version %s are not kept yet, and cannot be once another version is in use. %s keeps them.",
            reader.current,
            CommandRef("keep_corrections", {"model": str(reader.path)}),
        )


class Correcting:
    """The rounds of a session; write them only while holding the model's lock.

    Args:
        model: The model's folder.
    """

    def __init__(self, model: Path) -> None:
        self.path = model / CORRECTING

    @property
    def rounds(self) -> list[int]:
        """Numbers of the rounds on the disk, from the oldest; empty where no session is open."""
        return [int(item.name) for item in contents.numbered(self.path)]

    def document(self, kind: str) -> Json:
        """Return a JSON object of the last round; nothing where it has none.

        Raises:
            ModelError: It is damaged.
        """
        return contents.read_document(self._last, f"{kind}.json") if self.rounds else {}

    def tensors(self, kind: str) -> dict[str, Tensor]:
        """Return tensors of the last round; nothing where it has none.

        Raises:
            ModelError: They are damaged.
        """
        return contents.read_tensors(self._last, f"{kind}.safetensors") if self.rounds else {}

    def write(self, documents: Mapping[str, Json], tensors: Mapping[str, Mapping[str, Tensor]]) -> None:
        """Add a round; what is not given is taken over from the last one.

        Args:
            documents: Kind -> JSON object.
            tensors: Kind -> name -> tensor on any device.

        Raises:
            ModelError: It cannot be written; the last one is still there.
        """
        rounds = self.rounds
        files = {f"{kind}.json": encode_json(data) for kind, data in documents.items()}
        files |= {f"{kind}.safetensors": contents.encode_tensors(kind, found) for kind, found in tensors.items()}
        number = max(rounds, default=0) + 1
        contents.publish(self._folder(number), files, self._last if rounds else None)
        for old in [*rounds, number][:-ROUNDS_KEPT]:
            shutil.rmtree(self._folder(old), ignore_errors=True)

    def undo(self) -> None:
        """Remove the last round, in one go.

        Raises:
            ModelError: It cannot be removed.
        """
        with plain_errors(self._last, "remove"):
            remove_folder(self._last)

    def remove(self) -> None:
        """Remove the session, in one go.

        Raises:
            ModelError: It cannot be removed.
        """
        if self.path.exists():
            with plain_errors(self.path, "remove"):
                remove_folder(self.path)

    @property
    def _last(self) -> Path:
        return self._folder(self.rounds[-1])

    def _folder(self, number: int) -> Path:
        return self.path / f"{number:06d}"
