"""Write what a step made as a new version."""

from __future__ import annotations

from dataclasses import asdict

from IncrementalSegLib.engine.carried import memory_document
from IncrementalSegLib.engine.domain import DOCUMENT as DOMAIN
from IncrementalSegLib.engine.gate.scans import KIND as COPIES
from IncrementalSegLib.engine.gate.scans import RetentionCopies
from IncrementalSegLib.engine.history import DOCUMENT, step_entry
from IncrementalSegLib.engine.settings import StepSettings
from IncrementalSegLib.engine.step.data import StepData
from IncrementalSegLib.engine.step.request import StepRequest
from IncrementalSegLib.engine.step.state import TrainingCurve
from IncrementalSegLib.evaluation.retention import RetentionReport
from IncrementalSegLib.methods.base.context import StepContext
from IncrementalSegLib.store.versions import VersionRecord
from IncrementalSegLib.types import Json

RETENTION = "retention"
"""Name of the document that holds what the gate found."""

_PLAIN = ("case", "patient", "sha256", "looked_for")
"""Keys of a case in a record; its path is in the history alone."""


def save(
    request: StepRequest,
    ctx: StepContext,
    data: StepData,
    curve: TrainingCurve,
    settings: StepSettings,
    selection: Json,
    report: RetentionReport,
    scores: Json,
    step: Json,
    seconds: float,
) -> VersionRecord:
    """Write the version, and make it the current one unless the gate or the settings hold it back.

    Args:
        request: What was asked for.
        ctx: The finished step.
        data: The scans.
        curve: What happened while training.
        settings: How the step was done.
        selection: What the choice of exemplars found.
        report: Scores and verdicts of the older structures.
        scores: Validation scores by structure.
        step: Further entries of the lineage: id, schedule, device.
        seconds: Duration so far.

    Raises:
        ModelError: It cannot be written; the version in use is the same.
    """
    lineage = _lineage(request, curve) | settings.recorded | step | {"unjudged": list(data.unjudged)}
    trained = [*data.train.entries, *data.unlabelled.entries]  # these must never judge a later step either
    judging = [*data.held_out.entries, *request.judges.entries]
    training, held_out = (
        [{name: entry[name] for name in _PLAIN} for entry in entries] for entries in (trained, judging)
    )
    record = VersionRecord(
        parent=request.parent.number if request.parent is not None else None,
        output=ctx.model.config.output,
        structures=request.structures,
        architecture=ctx.model.architecture(),
        preprocessing=data.plan.model_dump(mode="json"),
        step=lineage | {"training": training, "held_out": held_out},
        scores=scores,
        accepted=settings.accept == "always" or (settings.accept == "gate" and not report.held_back_by),
        held_back_by=report.held_back_by,
        seconds=round(seconds, 3),
    )
    copies = RetentionCopies.of(request.folder) if request.folder is not None else RetentionCopies()
    for case in data.held_out.cases if settings.retention == "copy" else ():
        copies = copies.with_case(case, request.structure_of)
    for case in request.judges.cases if settings.retention == "copy" else ():
        copies = copies.with_case(case, request.judges.structure_of)
    kept = {"exemplars": ctx.exemplars.to_files(), "prototypes": ctx.prototypes.to_files(), COPIES: copies.to_files()}
    tensors = {
        "weights": {name: tensor.contiguous() for name, tensor in ctx.model.state_dict().items()},
        "memory": ctx.memory.tensors,
    } | {kind: found for kind, (_, found) in kept.items()}
    documents = {
        "memory": memory_document(ctx),
        "curve": asdict(curve),
        "selection": selection,
        RETENTION: report.to_json(),
        DOMAIN: data.domain.to_json(),
        DOCUMENT: request.history.with_step(step_entry(lineage, trained, judging)).to_json(),
    } | {kind: document for kind, (document, _) in kept.items()}
    return request.target.write(record, tensors, documents)


def _lineage(request: StepRequest, curve: TrainingCurve) -> Json:
    """Return how the step was done, for the record and the history."""
    return {
        "number": request.step,
        "method": request.method.registered_name,
        "why": list(request.why),
        "options": request.method.options.model_dump(mode="json", exclude={"descriptor_weights"}),  # a local path
        "optimiser_steps": curve.steps,
        "planned_steps": curve.planned,
        "best_step": curve.best_step,
        "accumulate": curve.accumulate,
        "taught": list(request.taught),
        "improved": [item for item in request.taught if request.parent and item in request.parent.structures.ids],
        "data": request.cases.name,
    }
