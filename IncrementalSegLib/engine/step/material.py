"""The scans of a step: read, brought to the model's grid, looked at, and split."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from IncrementalSegLib.engine.domain import Seen, look_at
from IncrementalSegLib.engine.history import case_entry
from IncrementalSegLib.engine.progress import Progress
from IncrementalSegLib.engine.step.presets import Preset
from IncrementalSegLib.engine.step.request import StepRequest
from IncrementalSegLib.engine.step.split import split
from IncrementalSegLib.evaluation.domain import Traits
from IncrementalSegLib.preprocessing.plan import Plan, plan_for
from IncrementalSegLib.registry import find
from IncrementalSegLib.sampling.batch import PreparedCase
from IncrementalSegLib.sampling.cases import Case, naming
from IncrementalSegLib.sampling.datasets import read_case
from IncrementalSegLib.sampling.prepare import prepare, require_apart, require_voxels
from IncrementalSegLib.types import Json
from IncrementalSegLib.volumes.io import read_volume
from IncrementalSegLib.volumes.volume import Grid

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Material:
    """What a step works on.

    Attributes:
        plan: How scans become what the network sees.
        training: Cases that train.
        aside: Cases set aside.
        cases: The training cases, prepared.
        held: The cases set aside, prepared.
        trained: What identifies the training cases, taken when they were read (:func:`history.case_entry`).
        judges: What identifies the cases set aside, and where they lie.
        seen: What the model has seen after this step.
    """

    plan: Plan
    training: Sequence[Case]
    aside: Sequence[Case]
    cases: Sequence[PreparedCase]
    held: Sequence[PreparedCase]
    trained: Sequence[Json]
    judges: Sequence[Json]
    seen: Seen


def read_material(request: StepRequest, preset: Preset, seed: int, progress: Progress) -> Material:
    """Read, split and prepare the scans of a step.

    Raises:
        IncrementalSegError: A scan cannot be read or does not fit, or a structure has no voxel.
    """
    history = request.history
    training, aside = split(request.cases.cases, seed, history.trained, history.set_aside)
    plan = model_plan(request, preset)
    prepared: list[PreparedCase] = []
    looks: list[Traits] = []
    entries: list[Json] = []
    everything = [*training, *aside]
    for done, case in enumerate(everything):
        progress("Reading", done / len(everything))
        with naming(case):
            volume, masks = read_case(case)
            wanted = {request.structure_of[name]: masks[name] for name in sorted(case.looked_for)}
            prepared.append(prepare(case, volume, wanted, plan))
            looks.append(look_at(volume, prepared[-1].image, plan))
            entries.append(case_entry(case, request.structure_of, findable=done >= len(training)))
    progress("Reading", 1.0)
    count = len(training)
    cases, held = prepared[:count], prepared[count:]
    names = {item: request.structures.by_id(item).name for item in request.taught}
    require_voxels(cases, names)
    if request.method.output == "classes":
        for warning in require_apart(cases, names):
            log.warning(warning)
    seen = Seen.of(request.folder) if request.folder is not None else Seen()
    pairs = [(look, case.structures) for look, case in zip(looks, cases, strict=False)]
    seen = seen.with_step(request.step, pairs)
    return Material(plan, training, aside, cases, held, entries[:count], entries[count:], seen)


def model_plan(request: StepRequest, preset: Preset) -> Plan:
    """Return the model's plan, chosen from the scans at the first step.

    Raises:
        DataError: A scan cannot be read.
    """
    if request.parent is not None:
        return Plan.model_validate(request.parent.preprocessing)
    grids: list[Grid] = []
    channels = 1
    for case in request.cases.cases:
        with naming(case):
            volume = read_volume(case.images)
            channels = channels if grids else volume.channels
            grids.append(volume.grid)
    dimension = find("network", request.network).dimension
    return plan_for(grids, channels, dimension, 2 ** (len(preset.widths) - 1), preset.side, preset.patch_side)
