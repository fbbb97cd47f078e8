"""The checkpoint of a step that is being done: ``MODEL/unfinished/``, replaced whole, gone when the step is saved.

Each checkpoint is a folder with a manifest like that of a version, published under the next number before
the one before it is removed; so a killed process leaves the last whole one.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from IncrementalSegLib.errors import ModelError
from IncrementalSegLib.files import encode_json, plain_errors, remove_folder
from IncrementalSegLib.store import contents
from IncrementalSegLib.types import Json

if TYPE_CHECKING:
    from torch import Tensor

UNFINISHED = "unfinished"
"""Name of the folder inside a model's."""

_TENSORS = "training"


class Unfinished:
    """The unfinished step of a model; write it only while holding the model's lock.

    Args:
        model: The model's folder; it may hold no version yet.
    """

    def __init__(self, model: Path) -> None:
        self.path = model / UNFINISHED

    @property
    def exists(self) -> bool:
        """Whether a step was begun and neither saved nor given up."""
        return self._newest() is not None

    def write(self, request: Json, training: Json, tensors: Mapping[str, Tensor]) -> None:
        """Replace the checkpoint.

        Args:
            request: What the step was asked to do.
            training: Where the training is.
            tensors: Weights and all else that training changes.

        Raises:
            ModelError: It cannot be written; the last one is still there.
        """
        newest = self._newest()
        number = 1 if newest is None else int(newest.name) + 1
        files = {
            "request.json": encode_json(request),
            "training.json": encode_json(training),
            f"{_TENSORS}.safetensors": contents.encode_tensors(_TENSORS, tensors),
        }
        contents.publish(self.path / f"{number:06d}", files, None)
        for item in self.path.iterdir():  # the ones before, and what a killed writer left
            if item.name != f"{number:06d}":
                shutil.rmtree(item, ignore_errors=True)

    def request(self) -> Json:
        """Return what the unfinished step was asked to do; empty where there is none.

        Raises:
            ModelError: The checkpoint is damaged.
        """
        newest = self._newest()
        return contents.read_document(newest, "request.json") if newest is not None else {}

    def progress(self) -> Json:
        """Return where the training of the unfinished step is, without its tensors.

        Raises:
            ModelError: The checkpoint is damaged.
        """
        newest = self._newest()
        assert newest is not None, "ask `exists` first"
        return contents.read_document(newest, "training.json")

    @property
    def steps(self) -> tuple[int, int]:
        """Optimiser steps done and planned.

        Raises:
            ModelError: The checkpoint is damaged.
        """
        curve = self.progress()["curve"]
        return curve["steps"], curve["planned"]

    def kept(self) -> str:
        """Return a sentence about the training that is kept."""
        try:
            done, planned = self.steps
        except ModelError:  # whoever resumes it is told; here another error is
            return "A checkpoint is kept."
        return f"{done} of {planned} optimiser steps are kept." if done else "Nothing was trained yet."

    def training(self) -> tuple[Json, dict[str, Tensor]]:
        """Return where the training of the unfinished step is.

        Raises:
            ModelError: The checkpoint is damaged.
        """
        newest = self._newest()
        assert newest is not None, "ask `exists` first"
        return (
            self.progress(),
            contents.read_tensors(newest, f"{_TENSORS}.safetensors"),
        )

    def remove(self) -> None:
        """Give the step up; it disappears in one go."""
        if not self.path.exists():
            return
        with plain_errors(self.path, "remove"):
            remove_folder(self.path)

    def _newest(self) -> Path | None:
        return next(reversed(contents.numbered(self.path)), None)
