"""Write what a step made as a new version, and read back what earlier steps left."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from IncrementalSegLib.engine.history import DOCUMENT, case_entry, step_entry
from IncrementalSegLib.engine.request import StepRequest
from IncrementalSegLib.engine.trainer import Curve
from IncrementalSegLib.exemplars.memory import ExemplarMemory
from IncrementalSegLib.preprocessing.plan import Plan
from IncrementalSegLib.prototypes.bank import PrototypeBank
from IncrementalSegLib.sampling.cases import Case
from IncrementalSegLib.store.versions import ModelFolder, VersionRecord
from IncrementalSegLib.strategy.context import Memory, StepContext
from IncrementalSegLib.types import Json, StructureId

_PLAIN = ("case", "patient", "sha256", "looked_for")
"""What a record tells of a case that was set aside; where it lies stands in the history alone."""

Memories = tuple[Memory, ExemplarMemory, PrototypeBank, dict[StructureId, tuple[int, int]]]


def read_memories(folder: ModelFolder, number: int | None = None) -> Memories:
    """Return the method's memory, exemplars, prototypes and voxel counts of a version."""
    document = folder.document("memory", number)
    counts = {item: (int(pair[0]), int(pair[1])) for item, pair in document.get("voxel_counts", {}).items()}
    return (
        Memory(folder.tensors("memory", number), document.get("method", {})),
        ExemplarMemory.from_files(folder.document("exemplars", number), folder.tensors("exemplars", number)),
        PrototypeBank.from_files(folder.document("prototypes", number), folder.tensors("prototypes", number)),
        counts,
    )


def memory_document(ctx: StepContext) -> Json:
    """Return the method's memory and the voxel counts as one document."""
    counts = {item: list(pair) for item, pair in ctx.voxel_counts.items()}
    return {"method": ctx.memory.data, "voxel_counts": counts}


def save(
    request: StepRequest,
    ctx: StepContext,
    plan: Plan,
    curve: Curve,
    selection: Json,
    *,
    scores: Json,
    step: Json,
    training: Sequence[Case],
    aside: Sequence[Case],
    seconds: float,
) -> VersionRecord:
    """Write the version; it is accepted at once.

    Args:
        request: What was asked for.
        ctx: The finished step.
        plan: The model's plan.
        curve: What happened while training.
        selection: What the choice of exemplars found.
        scores: Validation scores by structure name.
        step: Schedule and device, for the lineage.
        training: Cases that trained.
        aside: Cases set aside.
        seconds: Duration so far.

    Raises:
        ModelError: It cannot be written; nothing has changed.
    """
    exemplars, exemplar_tensors = ctx.exemplars.to_files()
    prototypes, prototype_tensors = ctx.prototypes.to_files()
    lineage = {
        "number": request.step,
        "method": request.method.registered_name,
        "options": request.method.options.model_dump(mode="json", exclude={"descriptor_weights"}),  # a local path
        "optimiser_steps": curve.steps,
        "planned_steps": curve.planned,
        "best_step": curve.best_step,
        "taught": list(request.taught),
        "improved": [item for item in request.taught if request.parent and item in request.parent.structures.ids],
        "data": request.cases.name,
    } | step
    cases = [case_entry(case, request.structure_of, findable=False) for case in training]
    judges = [case_entry(case, request.structure_of, findable=True) for case in aside]
    history = request.history.with_step(step_entry(lineage, cases, judges))
    record = VersionRecord(
        parent=request.parent.number if request.parent is not None else None,
        output=request.method.output,
        structures=request.structures,
        architecture=ctx.model.architecture(),
        preprocessing=plan.model_dump(mode="json"),
        step=lineage
        | {"training": cases, "set_aside": [case_entry(case, request.structure_of, findable=False) for case in aside]},
        scores=scores,
        seconds=round(seconds, 3),
    )
    tensors = {
        "weights": {name: tensor.contiguous() for name, tensor in ctx.model.state_dict().items()},
        "exemplars": exemplar_tensors,
        "prototypes": prototype_tensors,
        "memory": ctx.memory.tensors,
    }
    documents = {
        "exemplars": exemplars,
        "prototypes": prototypes,
        "memory": memory_document(ctx),
        "curve": dataclasses.asdict(curve),
        "selection": selection,
        DOCUMENT: history.to_json(),
    }
    return request.target.write(record, tensors, documents)
