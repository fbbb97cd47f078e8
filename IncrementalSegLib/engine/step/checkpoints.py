"""Checkpoints of the step that is being done: what was asked, and where the training is."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence

import torch

from IncrementalSegLib.engine.runtime import Runtime
from IncrementalSegLib.engine.step.request import StepRequest
from IncrementalSegLib.engine.step.state import TrainingCurve, TrainingState
from IncrementalSegLib.errors import CommandRef, Hint, ModelError, OptionRef
from IncrementalSegLib.methods.base.context import StepContext
from IncrementalSegLib.sampling.batch import PreparedCase
from IncrementalSegLib.store.unfinished import Unfinished
from IncrementalSegLib.store.versions import ModelFolder
from IncrementalSegLib.types import Json

log = logging.getLogger(__name__)

RESTART = OptionRef("restart", True)


class Checkpoints:
    """Write where a step is, and read it back.

    Args:
        request: The step.
        asked: What :func:`learn` was called with, as JSON.
        runtime: Device and precision.
        cases: All cases of the step, prepared; a resumed step must see the same voxels.
    """

    def __init__(self, request: StepRequest, asked: Json, runtime: Runtime, cases: Sequence[PreparedCase]) -> None:
        self.store, self.group = Unfinished(request.target.path), runtime.group
        self.request = asked | {
            "id": request.id,
            "parent": request.parent.number if request.parent is not None else None,
            "structures": [request.structures.by_id(item).to_json() for item in request.taught],
            "voxels": _digest(cases),
            "runtime": {
                "device": runtime.name,
                "precision": runtime.precision,
                "torch": torch.__version__,
            },
        }

    def write(self, state: TrainingState, ctx: StepContext) -> None:
        """Replace the checkpoint; if that fails, log a warning and continue training.  One process of several does."""
        if not self.group.leads:
            return
        try:
            self.store.write(self.request, *state.to_files(ctx))
        except ModelError as error:
            log.warning("%s Training continues; until a checkpoint can be written, a crash loses it.", error)

    def read(self, ctx: StepContext) -> TrainingState:
        """Return where the training was, with weights and memory back in ``ctx``.

        Raises:
            ModelError: The scans are not those that the step began with, or the checkpoint is damaged.
        """
        kept = self.store.request()
        if kept["voxels"] != self.request["voxels"]:
            raise ModelError(
                "The step cannot be resumed: its scans or labels have changed since it began.",
                "Resuming on different scans would not be reproducible.",
                Hint("Restore them, or start the step again with ", RESTART, "."),
            )
        for name, now in self.request["runtime"].items():
            if kept["runtime"][name] != now:
                log.warning("The step began with %s %s and continues with %s.", name, kept["runtime"][name], now)
        return TrainingState.from_files(*self.store.training(), ctx)

    def check_group(self) -> None:
        """Refuse a step whose processes see different scans.

        Raises:
            ModelError: They do.
        """
        if self.group.told(self.request["voxels"]) != self.request["voxels"]:
            raise ModelError(
                f"Process {self.group.rank} does not see the scans that the first process sees.",
                "All processes must draw the same batches.",
                "Put the data where all computers read the same files.",
            )

    def shared(self, state: TrainingState | None, ctx: StepContext) -> TrainingState | None:
        """Return where the training is, in all processes what it is in the first; weights and memory too."""
        if self.group.size == 1:
            return state
        begun = self.group.told(state is not None)
        mine = (state or TrainingState(TrainingCurve(planned=0))).to_files(ctx) if self.group.leads else ({}, {})
        given = self.group.given(*mine)
        if self.group.leads:
            return state
        found = TrainingState.from_files(*given, ctx)
        return found if begun else None

    def remove(self) -> None:
        """Forget the step."""
        if self.group.leads:
            self.store.remove()


def _unfinished_request(folder: ModelFolder) -> Json:
    """Return what the unfinished step of a model was asked to do; empty where there is none.

    A step whose version was written is finished: its checkpoint outlived it only because the process died.  It is
    not where the version was to become current and the process died before that.

    Raises:
        ModelError: The checkpoint is damaged.
    """
    store = Unfinished(folder.path)
    asked = store.request()
    number = finished_version(folder, asked) if asked else None
    if number is None or (awaits_acceptance(folder, number) and not has_moved_on(asked, folder)):
        return asked
    store.remove()
    return {}


def finished_version(folder: ModelFolder, asked: Json) -> int | None:
    """Return the number of the version that a step wrote, if it did.

    Only versions newer than its parent are looked at, so that a damaged old one is no hindrance.

    Raises:
        ModelError: One of them is damaged.
    """
    newer = [number for number in folder.numbers() if number > (asked["parent"] or 0)]
    return next((number for number in reversed(newer) if folder.record(number).step.get("id") == asked["id"]), None)


def awaits_acceptance(folder: ModelFolder, number: int) -> bool:
    """Return whether a version was to become current when it was written, and nobody has decided since."""
    return bool(folder.document("record", number)["accepted"]) and folder.status(number) == "candidate"


def has_moved_on(asked: Json, folder: ModelFolder) -> bool:
    """Return whether another version is current than when a step began."""
    return folder.current != (asked["parent"] or 0)


def refuse_unfinished(folder: ModelFolder) -> None:
    """Refuse to begin a step while another one is unfinished.

    Raises:
        ModelError: One does.
    """
    asked = _unfinished_request(folder)
    if not asked:
        return
    done, _ = Unfinished(folder.path).training()
    curve = done["curve"]
    names = ", ".join(item["name"] for item in asked["structures"])
    raise ModelError(
        f"A step of {folder.path} is unfinished: {names}, {curve['steps']} of {curve['planned']} optimiser steps done.",
        "Beginning another one would lose it.",
        Hint(
            "Continue it with ",
            CommandRef("resume", {"model": str(folder.path)}),
            ", or start again with ",
            RESTART,
            ".",
        ),
    )


def check_parent(asked: Json, folder: ModelFolder) -> None:
    """Refuse to resume a step whose model has changed since it began.

    Raises:
        ModelError: It has.
    """
    if has_moved_on(asked, folder):
        raise ModelError(
            f"The step began from version {asked['parent']}, and version {folder.current} is current now.",
            "Its result would silently undo what has changed since.",
            Hint(
                "Go back with ",
                CommandRef("rollback", {"model": str(folder.path), "version": asked["parent"]}),
                ", or start the step again with ",
                RESTART,
                ".",
            ),
        )


def _digest(cases: Sequence[PreparedCase]) -> str:
    """Return one sha256 over everything that training sees of the cases."""
    digest = hashlib.sha256()
    for case in cases:
        digest.update(repr((case.id, case.patient, case.structures, tuple(case.image.shape))).encode())
        for tensor in (case.image, case.masks, case.ignore):
            if tensor is not None:
                digest.update(tensor.contiguous().view(torch.uint8).numpy().data)
    return digest.hexdigest()
