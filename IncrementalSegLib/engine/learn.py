"""Teach a model: check what is asked for, then do one step while no other process writes the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from IncrementalSegLib.engine.progress import Progress, silent
from IncrementalSegLib.engine.request import resolve
from IncrementalSegLib.engine.runtime import start
from IncrementalSegLib.engine.step import Step, StepResult
from IncrementalSegLib.errors import OptionError
from IncrementalSegLib.sampling.cases import Dataset
from IncrementalSegLib.store.versions import create_or_open
from IncrementalSegLib.structures import Request


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
    device: str = "auto",
    progress: Progress = silent,
) -> StepResult:
    """Teach a model new structures, or improve known ones, and save the result as a new version.

    Args:
        model: The model's folder; the first step creates it.
        data: A data set: nnU-Net or Decathlon folder, or a manifest.
        structures: What was looked for in these cases: ``"femur, tibia=LABEL IN DATA"``.  Everything
            else is unknown there, not background.
        cases: Case ids, comma-separated, or a file with one id per line; all by default.
        improve: The structures are known and shall be improved.
        method: How old structures are kept; by default aeiseg where exemplars were kept, else lwfseg.
        options: Options of the method.
        network: ``unet2d`` (default) or ``unet3d``; fixed at the first step.
        preset: ``quick``, ``standard`` or ``paper``; by default standard on a GPU and quick on a CPU.
        steps: Optimiser steps at most; by default the preset's.
        exemplars: ``keep`` representative scans for later steps, or ``none``.
        seed: Decides split, initial values, batches and dropout.
        device: ``auto``, ``cpu`` or ``cuda``.
        progress: Receives progress; what it raises ends the step and changes nothing.

    Returns:
        The new version and the training curve.

    Raises:
        IncrementalSegError: Something named is unknown, does not fit, is missing or cannot be read or
            written; nothing on disk has changed.

    Example:
        >>> learn("new-model", "scans", "humerus", steps=1).record.number
        1
    """
    _check_values(steps, seed, exemplars)
    runtime = start(device)
    folder = create_or_open(model)
    with folder.writing():  # one step at a time
        request = resolve(
            folder, data, structures, cases=cases, improve=improve, method=method, options=options, network=network
        )
        return Step(
            request,
            runtime,
            preset_name=preset,
            steps=steps,
            keep_exemplars=exemplars == "keep",
            seed=seed,
            progress=progress,
        ).run()


def _check_values(steps: int | None, seed: int, exemplars: str) -> None:
    if exemplars not in ("keep", "none"):
        raise OptionError(f"The option exemplars is {exemplars!r}.", todo="Use keep or none.")
    for name, value, least in (("steps", steps, 1), ("seed", seed, 0)):
        if value is not None and value < least:
            raise OptionError(f"The option {name} is {value}.", todo=f"Give {least} or more.")
