"""A step from its request to a new version: read, split, grow, train, remember, score, save."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from pathlib import Path

from IncrementalSegLib.engine.gate.judge import GateInputs, judge
from IncrementalSegLib.engine.gate.scans import RetentionCopies
from IncrementalSegLib.engine.gate.scorer import Pictures
from IncrementalSegLib.engine.history import History
from IncrementalSegLib.engine.parallel.launch import LostProcessError
from IncrementalSegLib.engine.runtime import Runtime
from IncrementalSegLib.engine.scores.scoring import validate
from IncrementalSegLib.engine.settings import RunSettings, StepSettings
from IncrementalSegLib.engine.step.calibration import calibrate
from IncrementalSegLib.engine.step.checkpoints import Checkpoints
from IncrementalSegLib.engine.step.data import StepData, read_step_data
from IncrementalSegLib.engine.step.remembering import remember
from IncrementalSegLib.engine.step.request import StepRequest
from IncrementalSegLib.engine.step.result import StepResult
from IncrementalSegLib.engine.step.saving import save
from IncrementalSegLib.engine.step.setup import StepSetup, grow
from IncrementalSegLib.engine.step.state import TrainingCurve
from IncrementalSegLib.engine.step.tasks import begin_task
from IncrementalSegLib.engine.step.training import build_monitor, train
from IncrementalSegLib.engine.step.validator import Validator
from IncrementalSegLib.errors import CommandRef, IncrementalSegError
from IncrementalSegLib.evaluation.retention import RetentionReport
from IncrementalSegLib.evaluation.verdicts import HARDLY_LEARNED
from IncrementalSegLib.exemplars.memory import ExemplarMemory
from IncrementalSegLib.inference.predictor import Predictor
from IncrementalSegLib.methods.base.context import StepContext
from IncrementalSegLib.preprocessing.plan import Plan
from IncrementalSegLib.progress import Phase, Stop, going_on
from IncrementalSegLib.reports.page import check_report
from IncrementalSegLib.reports.retention import write_retention_page
from IncrementalSegLib.store.unfinished import Unfinished
from IncrementalSegLib.types import Json

log = logging.getLogger(__name__)


def run_step(
    request: StepRequest,
    runtime: Runtime,
    settings: StepSettings,
    run: RunSettings | None = None,
    *,
    asked: Json | None = None,
    resuming: bool = False,
) -> StepResult:
    """Do a step and save its version.

    Args:
        request: What to do, checked.
        runtime: Device and precision.
        settings: How to do it.
        run: Where pages and pictures go, and who is told.
        asked: What the command was called with, kept with the checkpoints for :func:`learn.resume`.
        resuming: Continue from the checkpoint.

    Raises:
        Stop: A person ended it; a checkpoint stands or not, as they wished.
    """
    run = run or RunSettings()
    if run.report is not None:
        check_report(Path(run.report))
    setup = StepSetup.of(request, settings, runtime, run.progress)
    unfinished = Unfinished(request.target.path)
    try:
        return _run(setup, run, asked or {}, resuming)
    except Stop as stop:
        if stop.wish == "discard":
            unfinished.remove()
        stop.kept = unfinished.exists
        raise
    except LostProcessError:
        raise  # it says so
    except Exception:  # a full disk, a scan that is gone: no reason to train again
        if unfinished.exists:
            go_on = CommandRef("resume", {"model": str(request.target.path)})
            log.warning("%s %s continues the step.", unfinished.kept(), go_on)
        raise


def _run(setup: StepSetup, run: RunSettings, asked: Json, resuming: bool) -> StepResult:
    began = time.monotonic()
    plan = Plan.model_validate(asked["plan"]) if "plan" in asked else None  # another one may fit the memory now
    data = read_step_data(setup.request, setup.preset, setup.settings, setup.progress, setup.reader, plan)
    ctx = grow(setup, data)
    predictor = setup.predictor(ctx.model, data.plan)
    prepared = [*data.train.prepared, *data.held_out.prepared, *data.unlabelled.prepared]
    kept = asked | {"plan": data.plan.model_dump(mode="json")}
    checkpoints, group = Checkpoints(setup.request, kept, setup.runtime, prepared), setup.runtime.group
    checkpoints.check_group()
    state = checkpoints.read(ctx) if resuming else None
    if state is None and group.leads:
        setup.request.method.begin_step(ctx)
        begin_task(ctx, data.train)
    state = checkpoints.shared(state, ctx)
    monitor = build_monitor(setup, ctx, data, run)
    validator = Validator(predictor, data.held_out.prepared, ctx.new, setup.progress, monitor, group)
    curve = train(setup, ctx, data, validator, checkpoints, state)
    if not group.leads:
        _prepare_next(setup, ctx, data, predictor)
        return StepResult.of(setup.request.target, group.told(None))
    finishing = replace(setup, progress=going_on(setup.progress))
    result = _finish(finishing, ctx, data, predictor, curve, report=run.report, began=began)
    checkpoints.remove()
    group.told(result.record.number)
    if curve.nothing_learned:
        log.warning(
            "The Dice on the held-out cases stayed below %g and cannot choose weights; the last ones are kept.",
            HARDLY_LEARNED,
        )
    return result


def _finish(
    setup: StepSetup,
    ctx: StepContext,
    data: StepData,
    predictor: Predictor,
    curve: TrainingCurve,
    *,
    report: str | Path | None,
    began: float,
) -> StepResult:
    """Remember, score, judge and save what was trained."""
    request, settings = setup.request, setup.settings
    earlier = ctx.exemplars  # without those of this step
    selection = _prepare_next(setup, ctx, data, predictor)
    scores = _scores(predictor, data, ctx)
    pictures: Pictures | None = {} if report is not None else None
    retention = judge_step(setup, ctx, predictor, earlier, request.judging, pictures)
    setup.progress(Phase.SAVING, 0.0)
    record = save(
        request,
        ctx,
        data=data,
        curve=curve,
        settings=settings,
        selection=selection,
        report=retention,
        scores=scores,
        step={
            "id": request.id,
            "preset": setup.preset.name,
            "batch": setup.preset.batch,
            "devices": setup.runtime.group.size,
            "learning_rate": setup.preset.learning_rate,
            "device": setup.runtime.name,
            "precision": setup.runtime.precision,
            "notes": setup.reader.counts,
        },
        seconds=time.monotonic() - began,
    )
    page = None
    if report is not None and pictures is not None and record.parent is not None:
        page = _page(retention, pictures, Path(report), request.target.name, before=record.parent, after=record.number)
    return StepResult(record, curve, retention, page, setup.reader.notes)


def _prepare_next(setup: StepSetup, ctx: StepContext, data: StepData, predictor: Predictor) -> Json:
    """Calibrate and remember what was trained, and return what the selection of exemplars found."""
    ctx.model.eval()
    calibrate(predictor, data.held_out.prepared or data.train.prepared)
    return remember_step(setup, ctx, data)


def remember_step(setup: StepSetup, ctx: StepContext, data: StepData) -> Json:
    """Update prototypes and exemplars of ``ctx`` and return what their selection found."""
    return remember(
        setup.request.method,
        ctx,
        ctx.new,
        patch=data.plan.patch,
        weights=setup.request.weights,
        keep_exemplars=setup.settings.exemplars == "keep",
        progress=setup.progress,
        group=setup.runtime.group,
    )


def judge_step(
    setup: StepSetup,
    ctx: StepContext,
    after: Predictor,
    exemplars: ExemplarMemory,
    history: History,
    pictures: Pictures | None = None,
) -> RetentionReport:
    """Score the version before and the candidate on every structure that both know."""
    folder, parent, limits = setup.request.folder, setup.request.parent, setup.settings.limits
    if folder is None or parent is None or ctx.teacher_model is None:
        return RetentionReport(limits=limits)
    report = judge(
        setup.predictor(ctx.teacher_model, after.plan),
        after,
        parent.structures,
        GateInputs(history, RetentionCopies.of(folder), exemplars, ctx.cases, reader=setup.reader),
        limits=limits,
        pictures=pictures,
        progress=setup.progress,
    )
    return replace(report, used=setup.settings.accept == "always")


def _scores(predictor: Predictor, data: StepData, ctx: StepContext) -> Json:
    """Return the Dice of the new structures on the held-out cases, by structure."""
    held_out = data.held_out.prepared
    found = validate(predictor, held_out, ctx.new)
    return {
        item: {"validation_dice": found.of(item), "cases": sum(item in case.structures for case in held_out)}
        for item in ctx.new
    }


def _page(
    report: RetentionReport, pictures: Pictures, folder: Path, name: str, *, before: int, after: int
) -> Path | None:
    """Write the page; a version that stands is not lost for it."""
    try:
        return write_retention_page(report, pictures, folder=folder, name=name, before=before, after=after)
    except IncrementalSegError as error:
        log.warning("Version %d is saved, but its page is not: %s", after, error)
        return None
