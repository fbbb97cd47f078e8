"""Teach a model: check what is asked for, then do one step while no other process writes the model."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from IncrementalSegLib.engine.runtime import Runtime, start
from IncrementalSegLib.engine.settings import LearnCall, ResumeCall, StepSettings
from IncrementalSegLib.engine.step.checkpoints import (
    awaits_acceptance,
    check_parent,
    finished_version,
    has_moved_on,
    refuse_unfinished,
)  # fmt: skip
from IncrementalSegLib.engine.step.judges import find_again
from IncrementalSegLib.engine.step.request import StepRequest, resolve
from IncrementalSegLib.engine.step.result import StepResult
from IncrementalSegLib.engine.step.step import run_step
from IncrementalSegLib.errors import CommandRef, Hint, ModelError, OptionError, OptionRef
from IncrementalSegLib.options import called_with
from IncrementalSegLib.sampling.cases import Dataset
from IncrementalSegLib.sampling.joint import Data, listed_data, listed_structures
from IncrementalSegLib.store.correcting import warn_of_corrections
from IncrementalSegLib.store.unfinished import Unfinished
from IncrementalSegLib.store.versions import ModelFolder, create_or_open
from IncrementalSegLib.structures import Structure, StructureSpec
from IncrementalSegLib.types import Json

log = logging.getLogger(__name__)


@called_with(LearnCall)
def learn(call: LearnCall) -> StepResult:
    """Teach a model new structures, or improve known ones, and save the result as a new version.

    Returns:
        The new version and the training curve.

    Raises:
        IncrementalSegError: Something named is unknown, does not fit, is missing or cannot be read or
            written; no version has changed.
        Stop: A person ended it.

    Example:
        >>> learn("new-model", "scans", "humerus", steps=1).record.number
        1
    """
    runtime = start(call.device, call.devices, call.nodes)
    folder = create_or_open(call.model)
    if not runtime.group.leads:
        return _follow(folder, runtime, call.data)
    with folder.writing():  # one step at a time
        if not call.restart:
            refuse_unfinished(folder)
        _warn_of_candidates(folder)
        warn_of_corrections(folder)
        data, lists = listed_data(call.data), listed_structures(call.structures)
        request = resolve(folder, data, lists, call, progress=call.progress)
        if call.restart:  # only now, so that a wrong path costs nothing
            Unfinished(folder.path).remove()
        method = request.method
        settings = replace(
            call, method=method.registered_name, options=method.options.model_dump(mode="json", exclude_unset=True)
        )
        asked: Json = {
            "data": [None if isinstance(item, Dataset) else str(Path(item).absolute()) for item in data],
            "teach": [[[item.name, item.label] for item in wanted] for wanted in lists],
            "cases": [case.id for case in request.cases.cases],
            "why": list(request.why),
            "judges": list(request.judges.entries),
            "settings": settings.to_json(),
            "id": request.id,
            "structures": [request.structures.by_id(item).to_json() for item in request.taught],
        }
        runtime.group.told(asked)
        return run_step(request, runtime, settings, call, asked=asked)


@called_with(ResumeCall)
def resume(call: ResumeCall) -> StepResult:
    """Resume the unfinished step of a model from its last checkpoint.

    On a CPU with the same number of threads and the same libraries the result has the bits of a step that
    was never interrupted.

    Returns:
        The new version and the training curve; of a step that is finished already, its version.

    Raises:
        IncrementalSegError: No step is unfinished, or the model or the scans have changed.
        Stop: A person ended it.
    """
    runtime = start(call.device, call.devices, call.nodes)
    folder = create_or_open(call.model)
    if not runtime.group.leads:
        return _follow(folder, runtime, call.data, call.judge)
    with folder.writing():
        store = Unfinished(folder.path)
        asked = store.request()
        if not asked:
            raise ModelError(
                f"No step of {folder.path} is unfinished.", todo=Hint("Begin one with ", CommandRef("learn"), ".")
            )
        number = finished_version(folder, asked)
        if number is not None:  # the process died between writing the version and forgetting the checkpoint
            if awaits_acceptance(folder, number) and not has_moved_on(asked, folder):
                folder.accept(number)
            store.remove()
            runtime.group.told({"finished": number})
            return StepResult.of(folder, number)
        check_parent(asked, folder)
        settings = StepSettings(**asked["settings"])
        request = _asked_before(folder, asked, settings, call.data, call.judge)
        asked |= {"judges": list(request.judges.entries)}  # their places now
        runtime.group.told(asked)
        return run_step(request, runtime, settings, call, asked=asked, resuming=True)


def _asked_before(
    folder: ModelFolder,
    asked: Json,
    settings: StepSettings,
    data: Data | Sequence[Data] | None,
    judge: str | Path | None,
) -> StepRequest:
    """Return the request of a step that was begun before, or by the first of several processes.

    Args:
        folder: The model.
        asked: What the step was asked to do.
        settings: How it is done.
        data: A data set in memory.
        judge: Where scans that are to judge lie now, if they were moved.

    Raises:
        IncrementalSegError: The model or the data do not fit any more.
    """
    source = data if data is not None else asked["data"]
    if None in listed_data(source):
        raise OptionError(
            "The step was begun with a data set in memory.",
            todo=Hint("Pass it again with ", OptionRef("data"), "."),
        )
    request = resolve(
        folder,
        source,
        [[StructureSpec(name, label) for name, label in wanted] for wanted in asked["teach"]],
        settings,
        cases=asked["cases"],
        identities=[Structure.from_json(item) for item in asked["structures"]],
        why=asked["why"],
        judges=find_again(asked["judges"], judge),
    )
    return replace(request, id=asked["id"])


def _follow(
    folder: ModelFolder,
    runtime: Runtime,
    data: Data | Sequence[Data] | None,
    judge: str | Path | None = None,
) -> StepResult:
    """Do a step together with the process that leads it, and write nothing."""
    asked = runtime.group.told(None)
    if "finished" in asked:
        return StepResult.of(folder, asked["finished"])
    settings = StepSettings(**asked["settings"])
    in_memory = data if None in asked["data"] else None
    request = _asked_before(folder, asked, settings, in_memory, judge)
    return run_step(request, runtime, settings, asked=asked)


def _warn_of_candidates(folder: ModelFolder) -> None:
    """Say which versions wait for a decision, because this step does not build on them."""
    waiting = [str(number) for number in folder.numbers() if folder.status(number) == "candidate"]
    if waiting:
        alone = len(waiting) == 1
        log.warning(
            "%s %s. This step continues from %s; to build on a candidate, accept it.",
            "Version" if alone else "Versions",
            ", ".join(waiting) + (" is still a candidate" if alone else " are still candidates"),
            f"version {folder.current}" if folder.current else "nothing",
        )
