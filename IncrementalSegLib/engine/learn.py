"""Teach a model: check what is asked for, then do one step while no other process writes the model."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal

from IncrementalSegLib.engine.progress import Progress, silent
from IncrementalSegLib.engine.runtime import start
from IncrementalSegLib.engine.step.checkpoints import (
    awaits_acceptance,
    check_parent,
    finished_version,
    has_moved_on,
    refuse_unfinished,
)  # fmt: skip
from IncrementalSegLib.engine.step.lookout import OnLook
from IncrementalSegLib.engine.step.request import resolve
from IncrementalSegLib.engine.step.result import StepResult
from IncrementalSegLib.engine.step.settings import StepSettings
from IncrementalSegLib.engine.step.step import Step
from IncrementalSegLib.errors import ModelError, OptionError
from IncrementalSegLib.evaluation.verdicts import Limits
from IncrementalSegLib.preprocessing.intensity import NormalisationChoice
from IncrementalSegLib.sampling.cases import Dataset
from IncrementalSegLib.store.unfinished import Unfinished
from IncrementalSegLib.store.versions import ModelFolder, create_or_open
from IncrementalSegLib.structures import Request, Structure, requests_of
from IncrementalSegLib.types import Json

log = logging.getLogger(__name__)


def learn(
    model: str | Path,
    data: str | Path | Dataset,
    structures: str | Sequence[Request],
    *,
    cases: str | None = None,
    improve: bool = False,
    method: str | None = None,
    options: Mapping[str, Any] | None = None,
    network: str | None = None,
    preset: str | None = None,
    steps: int | None = None,
    exemplars: Literal["keep", "none"] = "keep",
    seed: int = 0,
    accept: Literal["gate", "always", "never"] = "gate",
    retention: Literal["paths", "copy"] = "paths",
    limits: Limits | None = None,
    normalisation: NormalisationChoice = "auto",
    report: str | Path | None = None,
    previews: str | Path | None = None,
    restart: bool = False,
    strict: bool = False,
    accept_grid: bool = False,
    device: str = "auto",
    progress: Progress = silent,
    on_look: OnLook | None = None,
) -> StepResult:
    """Teach a model new structures, or improve known ones, and save the result as a new version.

    Args:
        model: The model's folder; the first step creates it.
        data: A data set: nnU-Net or Decathlon folder, or a manifest.
        structures: What was looked for in these cases: ``"femur, tibia=LABEL IN DATA"``.  Everything
            else is unknown there, not background.  As :class:`Request` each may bring terminology and colour.
        cases: Case ids, comma-separated, or a file with one id per line; all by default.
        improve: The structures are known and shall be improved.
        method: How old structures are kept; by default what :func:`~IncrementalSegLib.engine.planning.advice.advise`
            recommends for these scans.
        options: Options of the method.
        network: ``unet2d`` (default) or ``unet3d``; fixed at the first step.
        preset: ``quick``, ``standard`` or ``paper``; by default standard on a GPU and quick on a CPU.
        steps: Optimiser steps at most; by default the preset's.
        exemplars: ``keep`` representative scans for later steps, or ``none``.
        seed: Decides split, initial values, batches and dropout.
        accept: The new version becomes current: ``gate``, unless the gate holds it back; ``always``; ``never``.
        retention: Scans that judge later steps are known by ``paths`` and sha256, or a ``copy`` is kept.
        limits: What the gate lets an older structure lose; by default 3 points of Dice, and 1 on average.
        normalisation: How intensities are normalised: ``zscore``, ``ct`` (Hounsfield units), or ``auto``, by the
            values of the scans; fixed at the first step.
        report: Folder for a page that shows what became of the older structures.
        previews: Folder for a picture of each new structure, replaced now and then while it is learned;
            drawn only where somebody looks.
        restart: Give up a step of this model that is unfinished.
        strict: What a person should know of a case (``check`` lists it) is an error.
        accept_grid: Take labels of their image's size voxel by voxel, wherever their headers put them.
        device: ``auto``, ``cpu`` or ``cuda``.
        progress: Receives progress.  A :class:`Stop` that it raises ends the step as it says; anything
            else ends it as a crash does, and :func:`resume` continues from the last checkpoint.
        on_look: Receives at every validation how the new structures do, and which old one has lost most; the
            result does not depend on it.

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
    settings = StepSettings(
        preset, steps, exemplars, seed, accept, retention, limits or Limits(), normalisation, strict
    )
    runtime = start(device)
    folder = create_or_open(model)
    with folder.writing():  # one step at a time
        if not restart:
            refuse_unfinished(folder)
        _warn_of_candidates(folder)
        wanted = requests_of(structures)
        request = resolve(
            folder,
            data,
            wanted,
            cases=cases,
            improve=improve,
            method=method,
            options=options,
            network=network,
            accept_grid=accept_grid,
            progress=progress,
        )
        if restart:  # only now, so that a wrong path costs nothing
            Unfinished(folder.path).remove()
        asked: Json = {
            "data": None if isinstance(data, Dataset) else str(Path(data).absolute()),
            "teach": [[item.name, item.label] for item in wanted],
            "cases": [case.id for case in request.cases.cases],
            "improve": improve,
            "method": request.method.registered_name,
            "why": list(request.why),
            "options": request.method.options.model_dump(mode="json", exclude_unset=True),
            "network": network,
            "accept_grid": accept_grid,
            "settings": asdict(settings),
        }
        return Step(
            request,
            runtime,
            settings,
            asked=asked,
            report=report,
            previews=previews,
            on_look=on_look,
            progress=progress,
        ).run()


def resume(
    model: str | Path,
    *,
    data: Dataset | None = None,
    report: str | Path | None = None,
    previews: str | Path | None = None,
    device: str = "auto",
    progress: Progress = silent,
    on_look: OnLook | None = None,
) -> StepResult:
    """Go on with the unfinished step of a model, from its last checkpoint.

    On a CPU with the same number of threads and the same libraries the result has the bits of a step that
    was never interrupted.

    Args:
        model: The model's folder.
        data: The data set, needed only where ``learn`` was given one in memory.
        report: Folder for a page that shows what became of the older structures.
        previews: As for :func:`learn`.
        device: ``auto``, ``cpu`` or ``cuda``.
        progress: As for :func:`learn`.
        on_look: As for :func:`learn`.

    Returns:
        The new version and the training curve; of a step that is finished already, its version.

    Raises:
        IncrementalSegError: There is nothing to go on with, or the model or the scans have changed.
        Stop: A person ended it.
    """
    runtime = start(device)
    folder = create_or_open(model)
    with folder.writing():
        store = Unfinished(folder.path)
        asked = store.request()
        if not asked:
            raise ModelError(f"No step of {folder.path} is unfinished.", todo="Begin one with `incrementalseg learn`.")
        number = finished_version(folder, asked)
        if number is not None:  # the process died between writing the version and forgetting the checkpoint
            if awaits_acceptance(folder, number) and not has_moved_on(asked, folder):
                folder.accept(number)
            store.remove()
            return StepResult.of(folder, number)
        check_parent(asked, folder)
        source = data if data is not None else asked["data"]
        if source is None:
            raise OptionError("The step was begun with a data set in memory.", todo="Pass it again as `data`.")
        request = resolve(
            folder,
            source,
            [Request(name, label) for name, label in asked["teach"]],
            cases=asked["cases"],  # as a text, an id could be taken for two or for a file
            improve=asked["improve"],
            method=asked["method"],
            options=asked["options"],
            network=asked["network"],
            accept_grid=asked.get("accept_grid", False),
            identities=[Structure.from_json(item) for item in asked["structures"]],
            why=asked.get("why", ()),
        )
        request = replace(request, id=asked["id"])
        settings = StepSettings.from_json(asked["settings"])
        return Step(
            request,
            runtime,
            settings,
            asked=asked,
            resuming=True,
            report=report,
            previews=previews,
            on_look=on_look,
            progress=progress,
        ).run()


def _warn_of_candidates(folder: ModelFolder) -> None:
    """Say which versions wait for a decision, because this step does not build on them."""
    waiting = [str(number) for number in folder.numbers() if folder.status(number) == "candidate"]
    if waiting:
        log.warning(
            "Nobody has decided on version %s yet. This step goes on from %s; to build on a candidate, accept it.",
            ", ".join(waiting),
            f"version {folder.current}" if folder.current else "nothing",
        )
