"""A model that learns from corrections: the networks and the training of a session."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from IncrementalSegLib.engine.documents import plan_of
from IncrementalSegLib.engine.domain import TrainingDomain
from IncrementalSegLib.engine.history import History
from IncrementalSegLib.engine.models import LoadedModel
from IncrementalSegLib.engine.runtime import Runtime
from IncrementalSegLib.engine.scores.scoring import Validation
from IncrementalSegLib.engine.settings import StepSettings
from IncrementalSegLib.engine.step.data import StepData, Subset
from IncrementalSegLib.engine.step.loss_sums import LossSums
from IncrementalSegLib.engine.step.pools import Sources, build_pools
from IncrementalSegLib.engine.step.request import StepRequest, build_method, check_fit
from IncrementalSegLib.engine.step.setup import StepSetup, grow
from IncrementalSegLib.engine.step.state import TrainingCurve, TrainingState
from IncrementalSegLib.engine.step.trainer import Trainer
from IncrementalSegLib.inference.predictor import Predictor
from IncrementalSegLib.methods.base.context import StepContext
from IncrementalSegLib.methods.base.method import TrainingPhase
from IncrementalSegLib.progress import Phase, Progress
from IncrementalSegLib.sampling.batch import PreparedCase
from IncrementalSegLib.sampling.cases import Dataset
from IncrementalSegLib.store.versions import ModelFolder
from IncrementalSegLib.types import Source

STEPS = 20
"""Optimiser steps of a round; our own choice, so that a round takes seconds."""

BATCH = 2
"""Items of a batch at most; our own choice, because a session has few different ones."""

LEARNING_RATE = 0.01
"""Learning rate of a round, relative to that of a step; our own choice.  With more, the strokes of the first scan can
spoil the outlines of the next ones (docs/correct.md)."""

HOLDING = 0.5
"""Share of the batches on which the teacher is distilled, for methods that have one; our own choice."""

_PHASE = TrainingPhase("correct", learning_rate=LEARNING_RATE, freeze_norm=True)
"""Statistics of normalisation stay: a few crops of one scan are no sample of all scans."""


@dataclass(frozen=True)
class LearnerSettings:
    """Settings of the learning of a session, fixed by its first round.

    Attributes:
        method: Registered name of the method.
        options: Its options.
        seed: Decides batches and dropout.
    """

    method: str
    options: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0


class Learner:
    """The copy of a model that a session teaches; its teacher is the version that the session began from.

    Args:
        folder: The model.
        settings: How it learns.
        runtime: Device and precision.
        progress: Receives progress.
        loaded: The version in use, where it is loaded already.

    Raises:
        UnknownNameError: No such method or option.
        ModelError: The method makes another form of output.
        MissingNeedError: The model lacks something that the method needs.
    """

    def __init__(
        self,
        folder: ModelFolder,
        settings: LearnerSettings,
        runtime: Runtime,
        progress: Progress,
        loaded: LoadedModel | None = None,
    ) -> None:
        record, history = folder.record(), History.of(folder)
        method = build_method(settings.method, settings.options)
        check_fit(method, record, folder, improved=tuple(record.structures))
        request = StepRequest(
            target=folder,
            folder=folder,
            parent=record,
            method=method,
            structures=record.structures,
            taught=record.structures.ids,
            structure_of={item.id: item.id for item in record.structures},
            cases=Dataset("corrections", folder.path, record.structures.ids, ()),
            network=record.architecture["config"]["network"],
            history=history,
            weights=None,
        )
        preset = next((step["preset"] for step in reversed(history.steps) if step.get("preset")), None)
        asked = StepSettings(
            improve=True, method=settings.method, options=settings.options, preset=preset, seed=settings.seed,
            exemplars="none",
        )  # fmt: skip
        self.setup = StepSetup.of(request, asked, runtime, progress)
        self.data = StepData(
            plan=plan_of(record), train=Subset((), ()), held_out=Subset((), ()), domain=TrainingDomain()
        )
        self.ctx: StepContext = grow(self.setup, self.data, loaded)
        self.state: TrainingState | None = None

    @property
    def predictor(self) -> Predictor:
        """Predicts with what was learned so far."""
        return self.setup.predictor(self.ctx.model, self.data.plan)

    def next_scan(self, pieces: Sequence[PreparedCase]) -> None:
        """Tell the method that the next round is on another scan.

        Args:
            pieces: Of the scan before.
        """
        self.ctx.cases = pieces
        self.setup.request.method.next_scan(self.ctx)

    def begin(self, pieces: Sequence[PreparedCase]) -> None:
        """Begin the session, before its first round.

        Args:
            pieces: Crops of the first scan.
        """
        if self.state is None:
            self.ctx.cases = pieces
            self.state = TrainingState(TrainingCurve(planned=0))
            self.setup.request.method.begin_step(self.ctx)

    def learn(self, pieces: Sequence[PreparedCase], scan: PreparedCase, steps: int) -> None:
        """Do the optimiser steps of a round.

        Args:
            pieces: Crops with partial labels; what is not known is ignored.
            scan: The present scan without labels, in which what is known is ignored: there the teacher is distilled.
            steps: Number of optimiser steps.
        """
        setup, ctx, method = self.setup, self.ctx, self.setup.request.method
        ctx.cases = pieces
        assert self.state is not None
        sources: Sources = {
            "new": (pieces, ctx.new),
            "exemplar": (method.rehearsal(ctx), ctx.structures),
            "unlabelled": ([scan] if "teacher" in method.required() else [], ()),
        }
        trainer = Trainer(
            method=method,
            ctx=ctx,
            pools=build_pools(sources, ctx.structures, self.data.plan, setup.runtime.device),
            preset=replace(setup.preset, batch=min(BATCH, setup.preset.batch)),
            steps=steps,
            runtime=setup.runtime,
            validate=lambda done: Validation(),
            progress=setup.progress,
            state=self.state,
            sources=self._shares(),
        )
        optimiser, curve, sums = trainer.optimiser(_PHASE), self.state.curve, LossSums()
        self.state.resume(optimiser)
        assert ctx.teacher_model is not None
        teacher = ctx.teacher_model
        with teacher.as_of(max(teacher.tasks_for(scan.image))):
            for done in range(steps):
                terms = trainer.step(curve.steps, _PHASE, optimiser)
                curve.steps += 1
                sums.add(terms, curve.steps)
                setup.progress(Phase.TRAINING, (done + 1) / steps, sums.shown())
        curve.planned = curve.best_step = curve.steps
        means = {name: value / steps for name, value in sums.read().items()}
        curve.points.append({"step": curve.steps, "validation": None} | means)
        ctx.model.eval()

    def _shares(self) -> dict[Source, float]:
        """Return how often a batch comes from each pool: as the method says, with scans of which the teacher knows."""
        shares = self.setup.request.method.sources(self.ctx)
        own = {name: share for name, share in shares.items() if name != "unlabelled"}
        whole = sum(own.values())
        return {name: share / whole * (1 - HOLDING) for name, share in own.items()} | {"unlabelled": HOLDING}
