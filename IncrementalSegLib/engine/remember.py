"""Exemplars chosen again from the scans of known structures, without training, as a new version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, field, replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, InstanceOf
from pydantic.dataclasses import dataclass

from IncrementalSegLib.engine.carried import memory_document, read_carried_state
from IncrementalSegLib.engine.history import History, without_forgotten
from IncrementalSegLib.engine.models import load
from IncrementalSegLib.engine.runtime import start
from IncrementalSegLib.engine.scores.evaluate import common_names
from IncrementalSegLib.engine.settings import (
    DATA,
    MODEL,
    CaseChoice,
    DeviceSettings,
    ReadingSettings,
    WorkSettings,
)
from IncrementalSegLib.engine.step.remembering import descriptor_weights, remember, voxel_counts
from IncrementalSegLib.engine.step.request import build_method
from IncrementalSegLib.errors import CommandRef, DataError, Hint, OptionError
from IncrementalSegLib.methods.base.context import StepContext
from IncrementalSegLib.names import name_key
from IncrementalSegLib.options import CONFIG, called_with
from IncrementalSegLib.progress import Phase
from IncrementalSegLib.sampling.cases import Dataset
from IncrementalSegLib.sampling.datasets import open_cases, restrict_labels
from IncrementalSegLib.sampling.prepare import prepare_case, require_voxels
from IncrementalSegLib.sampling.reading import CaseReader
from IncrementalSegLib.store.manifest import fingerprint
from IncrementalSegLib.store.versions import ModelFolder, VersionRecord, open_model
from IncrementalSegLib.structures import parse_names


@dataclass(frozen=True, config=CONFIG)
class RememberCall(WorkSettings, DeviceSettings, ReadingSettings, CaseChoice):
    """The arguments of :func:`remember_again`."""

    model: Annotated[str | Path, Field(description=MODEL)]
    data: Annotated[str | Path | InstanceOf[Dataset], Field(description=DATA)]
    method: Annotated[str, Field(description="The method of the next step; its options say how to choose.")]
    _: KW_ONLY
    structures: Annotated[
        str | None,
        Field(description='"femur, tibia=LABEL IN DATA"; by default every structure that the data names too.'),
    ] = None
    options: Annotated[Mapping[str, Any], Field(description="Options of the method.")] = field(default_factory=dict)


@called_with(RememberCall)
def remember_again(call: RememberCall) -> VersionRecord:
    """Choose exemplars of known structures from their scans, as at the end of the step that taught them.

    Returns:
        The record of the new version.

    Raises:
        IncrementalSegError: Something named is unknown, does not fit or cannot be read.
    """
    folder = open_model(call.model)
    with folder.writing():  # what is chosen must fit the weights it is stored beside
        return _remember(folder, call)


def _remember(folder: ModelFolder, call: RememberCall) -> VersionRecord:
    dataset = open_cases(call.data, call.cases, accept_grid=call.accept_grid)
    record, structures, progress = folder.record(), call.structures, call.progress
    chosen = build_method(call.method, call.options)
    if chosen.output not in record.outputs:
        raise OptionError(
            f"The method {call.method!r} makes {chosen.output}, the model has {' or '.join(record.outputs)}.",
            todo=Hint(CommandRef("methods"), " says what each method makes."),
        )
    history = History.of(folder)
    wanted = parse_names(structures) if structures is not None else common_names(record.structures, dataset)
    dataset = restrict_labels(dataset, wanted)
    reader = CaseReader(dataset, strict=call.strict)
    dataset = _without_held_out(without_forgotten(dataset, history), history)
    ids = {name_key(request.label): record.structures.named(request.name).id for request in wanted}
    runtime = start(call.device)
    loaded = load(folder, runtime)
    prepared = []
    for done, case in enumerate(dataset.cases):
        progress(Phase.READING, done / len(dataset.cases))
        structure_of = {name: ids[name_key(name)] for name in case.looked_for}
        prepared.append(prepare_case(case, structure_of, loaded.plan, reader.read))
    reader.finish()
    taught = tuple(dict.fromkeys(ids.values()))
    require_voxels(prepared, {item: record.structures.by_id(item).name for item in taught})
    memory, exemplars, prototypes, counts = read_carried_state(folder)
    last = history.last_step(taught[0]) or {}
    ctx = StepContext(
        model=loaded.segmenter,
        teacher_model=None,
        structures=record.structures.ids,
        new=taught,
        memory=memory,
        exemplars=exemplars,
        prototypes=prototypes,
        cases=prepared,
        voxel_counts=counts | voxel_counts(prepared, taught),
        device=runtime.device,
        step=int(last.get("number", record.structures.by_id(taught[0]).step)),
        seed=int(last.get("seed", 0)),  # with the seed of that step the choice is that of its end
        plan=loaded.plan,
    )
    selection = remember(
        chosen,
        ctx,
        taught,
        patch=loaded.plan.patch,
        weights=descriptor_weights(chosen.options),
        keep_exemplars=True,
        progress=progress,
    )
    kinds = {"exemplars": ctx.exemplars.to_files(), "prototypes": ctx.prototypes.to_files()}
    return folder.edit(
        {"action": "remember", "method": call.method, "data": dataset.name},
        tensors={kind: tensors for kind, (_, tensors) in kinds.items()} | {"memory": memory.tensors},
        documents={kind: document for kind, (document, _) in kinds.items()}
        | {"selection": selection, "memory": memory_document(ctx)},
    )


def _without_held_out(dataset: Dataset, history: History) -> Dataset:
    """Leave out what earlier steps held out, as at their end: these cases judge what is kept."""
    held_out = history.held_out
    cases = tuple(case for case in dataset.cases if not held_out or fingerprint(case.images) not in held_out)
    if not cases:
        raise DataError(
            f"All {len(dataset.cases)} cases were held out for validation by the steps of this model.",
            "Used as exemplars, they could no longer show whether older structures are kept.",
            "Choose other cases.",
        )
    return replace(dataset, cases=cases)
