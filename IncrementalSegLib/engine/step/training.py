"""The training of a step: its pools, its loop with checkpoints, its monitor."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from IncrementalSegLib.engine.gate.scans import RetentionCopies
from IncrementalSegLib.engine.parallel.launch import LostProcessError
from IncrementalSegLib.engine.settings import RunSettings
from IncrementalSegLib.engine.step.checkpoints import Checkpoints
from IncrementalSegLib.engine.step.data import StepData
from IncrementalSegLib.engine.step.deep_supervision import DeepSupervision
from IncrementalSegLib.engine.step.monitor import OldStructures, TrainingMonitor
from IncrementalSegLib.engine.step.pools import Sources, build_pools
from IncrementalSegLib.engine.step.setup import StepSetup
from IncrementalSegLib.engine.step.state import TrainingCurve, TrainingState
from IncrementalSegLib.engine.step.trainer import Trainer
from IncrementalSegLib.engine.step.trial import choose_networks, try_step
from IncrementalSegLib.engine.step.validator import Validator
from IncrementalSegLib.errors import IncrementalSegError, OptionRef
from IncrementalSegLib.methods.base.context import StepContext
from IncrementalSegLib.progress import duration

log = logging.getLogger(__name__)


def train(
    setup: StepSetup,
    ctx: StepContext,
    data: StepData,
    validator: Validator,
    checkpoints: Checkpoints,
    state: TrainingState | None = None,
) -> TrainingCurve:
    """Run the training of a step to its end, from a checkpoint where a ``state`` is given.

    Raises:
        IncrementalSegError: It cannot be continued either; the checkpoint is removed.
        Stop: A person ended it.
    """
    trainer = build_trainer(setup, ctx, data, validator, lambda state: checkpoints.write(state, ctx), state)
    if setup.preset.name == "paper" and setup.runtime.device.type == "cpu":
        steps = trainer.curve.planned
        log.warning(
            "The paper's width on a CPU: about %s for %d steps. A GPU, or %s, is far faster.",
            duration(try_step(trainer).seconds * steps),
            steps,
            OptionRef("preset", "quick"),
        )
    choose_networks(trainer)
    try:
        return trainer.run()
    except LostProcessError:
        raise
    except IncrementalSegError:  # continuing would end in the same way
        checkpoints.remove()
        raise


def build_trainer(
    setup: StepSetup,
    ctx: StepContext,
    data: StepData,
    validator: Validator,
    checkpoint: Callable[[TrainingState], None] = lambda state: None,
    state: TrainingState | None = None,
) -> Trainer:
    """Return the training loop over the pools of a step."""
    method, settings, preset = setup.request.method, setup.settings, setup.preset
    sources: Sources = {
        "new": (ctx.cases, ctx.new),
        "exemplar": (method.rehearsal(ctx), ctx.structures),
        "unlabelled": (data.unlabelled.prepared, ()),
    }
    _warn_of_gaps(setup, ctx)
    pools = build_pools(sources, ctx.structures, data.plan, setup.runtime.device)
    if "unlabelled" in pools and not method.sources(ctx).get("unlabelled"):
        log.warning("No batch comes from the scans of %s: the options of the method say so.", OptionRef("unlabelled"))
    return Trainer(
        method=method,
        ctx=ctx,
        pools=pools,
        preset=preset,
        steps=settings.steps if settings.steps is not None else preset.total_steps(len(pools["new"])),
        runtime=setup.runtime,
        validate=validator,
        progress=setup.progress,
        checkpoint=checkpoint,
        state=state,
        deep=DeepSupervision.of(ctx),
    )


def build_monitor(setup: StepSetup, ctx: StepContext, data: StepData, run: RunSettings) -> TrainingMonitor | None:
    """Return the monitor of a training, or ``None`` without an ``on_validation``."""
    if run.on_validation is None:
        return None
    request, past = setup.request, None
    if (folder := request.folder) is not None and ctx.teacher_model is not None:
        before = setup.predictor(ctx.teacher_model, data.plan)
        if any(phase.trains != "own_parts" for phase in request.method.phases(ctx)):  # else nothing can be lost
            past = OldStructures(ctx.old, before, request.history, lambda: RetentionCopies.of(folder), ctx.exemplars)
    return TrainingMonitor(
        tell=run.on_validation,
        names=request.structures,
        new=request.taught,
        after=setup.predictor(ctx.model, data.plan),  # with memory of its own, so that monitoring leaves no trace
        past=past,
        training=data.train.prepared,
        folder=Path(run.previews) if run.previews is not None else None,
    )


def _warn_of_gaps(setup: StepSetup, ctx: StepContext) -> None:
    """Say which old structures a rehearsing method has no exemplar of."""
    if "exemplars" not in setup.request.method.required():
        return
    missing = [item for item in ctx.old if not ctx.exemplars.take("random", [item])]
    if missing:
        log.warning(
            "There is no exemplar of %s: only distillation keeps it.",
            ", ".join(setup.request.structures.by_id(item).name for item in missing),
        )
