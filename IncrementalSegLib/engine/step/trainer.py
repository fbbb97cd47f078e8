"""The only training loop."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from IncrementalSegLib.engine.parallel.sharding import sharded, whole_batch
from IncrementalSegLib.engine.runtime import Runtime
from IncrementalSegLib.engine.scores.scoring import Validation
from IncrementalSegLib.engine.step.accumulation import double_micro_batches, micro_batches
from IncrementalSegLib.engine.step.batches import Batches
from IncrementalSegLib.engine.step.compiled import CompiledNetworks, failed, is_of_compiler
from IncrementalSegLib.engine.step.deep_supervision import DeepSupervision
from IncrementalSegLib.engine.step.presets import Preset
from IncrementalSegLib.engine.step.state import Snapshot, TrainingCurve, TrainingState
from IncrementalSegLib.evaluation.verdicts import HARDLY_LEARNED
from IncrementalSegLib.methods.base.context import StepContext
from IncrementalSegLib.methods.base.method import Method, TrainingPhase
from IncrementalSegLib.networks.sharing import own_parts
from IncrementalSegLib.networks.stochastic import Stochastic
from IncrementalSegLib.progress import Phase, Progress, Stop
from IncrementalSegLib.sampling.batch import Batch
from IncrementalSegLib.sampling.patches import PatchPool
from IncrementalSegLib.types import Source

_DECAY_POWER = 0.9
_FACTOR = "factor"  # on the learning rate of a group of parameters

CHECKPOINT_SECONDS = 45.0
"""A checkpoint is due after so long: at most 60 s of work can be lost, and the step in between may be slow."""


class Trainer:
    """Run a method's phases over its pools.

    Batch, augmentation and dropout of step i are functions of (seed, i) alone.

    Args:
        method: The method.
        ctx: The step.
        pools: Pool of each source.
        preset: Schedule.
        steps: Optimiser steps of the full schedule.
        runtime: Device and precision.
        validate: Called with the share of the schedule done; returns the scores of the new structures on the held-out
            cases. While one of several is not learned yet, patience does not end the training.
        progress: Receives progress; a ``Stop`` that it raises ends the training as it says.
        checkpoint: Called with the state before the first step, before every evaluation, at least once a
            minute, and at the end.
        state: State of an interrupted training; by default a new one.
        sources: How often a batch comes from each pool; by default as the method says.
        deep: Deep supervision; ``None``: the finest level alone is supervised.
    """

    def __init__(
        self,
        method: Method[Any],
        ctx: StepContext,
        pools: Mapping[Source, PatchPool],
        preset: Preset,
        steps: int,
        runtime: Runtime,
        validate: Callable[[float], Validation],
        progress: Progress,
        checkpoint: Callable[[TrainingState], None] = lambda state: None,
        state: TrainingState | None = None,
        sources: Mapping[Source, float] | None = None,
        deep: DeepSupervision | None = None,
    ) -> None:
        self.method, self.ctx, self.pools, self.preset, self.deep = method, ctx, pools, preset, deep
        self.batches = Batches(method, ctx, pools, preset, sources)
        self.compiled: CompiledNetworks | None = None
        self.runtime, self.validate, self.progress, self.checkpoint = runtime, validate, progress, checkpoint
        self.group = runtime.group
        self.state = state or TrainingState(TrainingCurve(planned=steps))
        if deep is not None:
            if self.state.deep:
                deep.load_state_dict(self.state.deep)
            self.state.deep = deep.state_dict()  # the same memory
        self._every = max(1, -(-self.curve.planned // preset.evaluations))
        self._saved = time.monotonic()

    @property
    def curve(self) -> TrainingCurve:
        """The record of the training so far."""
        return self.state.curve

    def run(self) -> TrainingCurve:
        """Train, end a phase early without progress on the held-out cases, and keep the best weights.

        Where nothing is learned, no weights are better than others; the last ones are kept.
        """
        state = self.state
        if state.finished:
            return state.curve
        self._save()
        phases = self.method.phases(self.ctx)
        try:
            with self.batches.ahead():
                while state.phase < len(phases):
                    self._run_phase(phases[state.phase], self._share(phases))
                    state.next_phase()
        except Stop as stop:
            if stop.wish == "pause":
                self._save()
            if stop.wish != "keep":
                raise
        if state.best is not None:
            state.best[1].restore(self.ctx)
        else:
            state.curve.best_step = state.curve.steps
        state.best, state.optimiser, state.finished = None, None, True
        self._save()
        return state.curve

    def _run_phase(self, phase: TrainingPhase, count: int) -> None:
        """Continue a phase of ``count`` optimiser steps."""
        state, curve = self.state, self.curve
        state.resume(self.optimiser(phase))
        assert state.optimiser is not None
        last = state.phase_began + count
        if phase.starts_over and curve.steps == state.phase_began:
            state.best = None
        while True:
            due = curve.steps > curve.evaluated and (curve.steps % self._every == 0 or curve.steps == last)
            if due and not self._evaluate():
                return
            if curve.steps >= last:
                return
            done = (curve.steps - state.phase_began) / count
            rate = phase.learning_rate * self._decay(done) * self._later(curve.steps)
            for group in state.optimiser.param_groups:
                group["lr"] = self.preset.learning_rate * rate * group.get(_FACTOR, 1.0)
            terms = self.step(curve.steps, phase, state.optimiser)
            curve.steps += 1
            state.sums.add(terms, curve.steps)
            if time.monotonic() - self._saved > CHECKPOINT_SECONDS:
                self._save()
            self._tell(state.sums.shown() if self.group.leads else {})

    def _evaluate(self) -> bool:
        """Score the held-out cases and return whether the phase may still gain."""
        self._save()
        state, curve = self.state, self.curve
        found = self.validate(curve.steps / curve.planned)
        dice = found.mean
        count = curve.steps - curve.evaluated
        means = {name: value / count for name, value in state.sums.read().items()}
        if dice is not None:
            self._tell({"dice": dice})
        curve.points.append({"step": curve.steps, "validation": dice} | means)
        state.sums.clear()
        if dice is None:
            return True
        if state.best is None and dice < HARDLY_LEARNED:  # noise: a new row overtakes its neighbours only after a while
            return True
        if state.best is None or dice > state.best[0]:
            state.best = (dice, Snapshot.of(self.ctx))
            curve.best_step = curve.steps
            return True
        patient = curve.steps - max(curve.best_step, state.phase_began) < self.preset.patience * self._every
        return patient or bool(found.unlearned)

    def _tell(self, numbers: Mapping[str, float]) -> None:
        """Report progress; all processes stop together."""
        done = self.curve.steps / self.curve.planned
        self.group.agree(lambda: self.progress(Phase.TRAINING, done, numbers))

    def _save(self) -> None:
        self.checkpoint(self.state)
        self._saved = time.monotonic()

    def step(self, index: int, phase: TrainingPhase, optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
        """Do optimiser step ``index`` and return the loss terms, as :meth:`update` does."""
        return self.update(self.batch(index), phase, optimiser)

    def update(self, batch: Batch, phase: TrainingPhase, optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
        """Do one optimiser step on a batch that lies on the device, and return the loss terms: scalars, float64.

        The host queues the work and does not wait for the device.
        """
        self._train_mode(phase)
        self.ctx.phase = phase.name
        while True:
            optimiser.zero_grad(set_to_none=True)
            try:
                terms = self._backward(batch, None if phase.trains == "new_outputs" else self.deep)
                break
            except Exception as error:
                if not self._recovers(error, len(batch.image)):
                    raise
                self.method.retry_batch(self.ctx)
            if self.runtime.device.type == "cuda":
                torch.cuda.empty_cache()
        self.group.average_gradients(self._trained())
        self.method.after_backward(self.ctx)
        optimiser.step()
        self.method.after_update(self.ctx)
        return terms

    def _recovers(self, error: Exception, items: int) -> bool:
        """Return whether a batch may be tried again: in more parts, or without compiled networks."""
        if self.compiled is not None and is_of_compiler(error):
            self.compiled, self.curve.compiled = None, False
            self.curve.compiling = failed(error)
            return True
        more = double_micro_batches(self.curve.accumulate, items) if isinstance(error, torch.OutOfMemoryError) else None
        if more is None or self.group.size > 1:  # the others are in the middle of the batch
            return False
        self.curve.accumulate = more
        return True

    def _backward(self, batch: Batch, deep: DeepSupervision | None) -> dict[str, Tensor]:
        """Add up the gradients of a batch, in as many parts as the memory asks for, and return the loss terms."""
        sums: dict[str, Tensor] = {}
        most = max(1, len(batch.image) // self.group.size)  # each process has an item of each part
        for share, part in micro_batches(batch, min(self.curve.accumulate, most)):
            watched = nullcontext() if deep is None else deep.watching()
            shared = sharded(self.group, self.ctx.model, self.ctx.teacher_model)
            compiled = nullcontext() if self.compiled is None else self.compiled.used()
            with self.runtime.autocast(), shared, watched, compiled:
                terms = self.method.training_loss(part, self.ctx)
                if deep is not None:
                    weight = self.method.label_share(part, self.ctx)
                    terms = deep.added(terms, part, self.ctx, weight, partial(whole_batch, self.group))
            total = torch.stack(list(terms.values())).sum()
            (total * share).backward()
            for name, term in terms.items():
                sums[name] = sums.get(name, 0.0) + share * term.detach().double()
        return sums

    def batch(self, index: int) -> Batch:
        """Return batch ``index`` on the device, and seed the dropout of its step."""
        batch, generator = self.batches(index)
        Stochastic.seed(self.ctx.model, generator)
        return replace(batch, image=self.runtime.layout(batch.image, self.ctx.model))

    def optimiser(self, phase: TrainingPhase) -> torch.optim.Optimizer:
        """Return a fresh optimiser for a phase; in later steps new outputs may learn at a rate of their own."""
        groups: list[dict[str, Any]] = [{"params": list(self._parameters(phase))}]
        if self.deep is not None and phase.trains != "new_outputs":
            groups[0]["params"] += self.deep.parameters()
        factor = self.method.options.new_rate
        if factor != 1.0 and self.ctx.teacher_model is not None:
            own = {id(item) for name in self.ctx.new for item in self.ctx.model.output.part(name).parameters()}
            every = groups[0]["params"]
            groups = [
                {"params": [item for item in every if id(item) not in own]},
                {"params": [item for item in every if id(item) in own], _FACTOR: factor},
            ]
        return torch.optim.Adam(groups, lr=self.preset.learning_rate * phase.learning_rate)

    def _share(self, phases: Sequence[TrainingPhase]) -> int:
        """Return the optimiser steps of the running phase; the last one takes what rounding leaves."""
        counts = [round(phase.share * self.curve.planned) for phase in phases[:-1]]
        return [*counts, self.curve.planned - sum(counts)][self.state.phase]

    def _decay(self, done: float) -> float:
        """Return the factor on the learning rate where the share ``done`` of the phase is behind."""
        return max(0.0, 1 - done) ** _DECAY_POWER if self.preset.decay else 1.0

    def _later(self, index: int) -> float:
        """Return the factor on the learning rate of optimiser step ``index`` that later steps of a model have."""
        if self.ctx.teacher_model is None:
            return 1.0
        options = self.method.options
        return float(options.later_rate * min(1.0, (index + 1) / max(1.0, options.warmup * self.curve.planned)))

    def _parameters(self, phase: TrainingPhase) -> Sequence[nn.Parameter]:
        model = self.ctx.model
        if phase.trains == "all":
            return list(model.parameters())
        if phase.trains == "own_parts":
            model.requires_grad_(False)
            return list(own_parts(model, self.ctx.new).requires_grad_().parameters())
        return [parameter for item in self.ctx.new for parameter in model.output.part(item).parameters()]

    def _trained(self) -> list[nn.Parameter]:
        """Return the parameters of the model and of the deep supervision."""
        return [*self.ctx.model.parameters(), *([] if self.deep is None else self.deep.parameters())]

    def _train_mode(self, phase: TrainingPhase) -> None:
        """Switch to training what the phase trains, with running statistics frozen where it asks for it."""
        if phase.trains == "own_parts":
            self.ctx.model.eval()
            own_parts(self.ctx.model, self.ctx.new).train()
        else:
            self.ctx.model.train()
        if not phase.freeze_norm or self.ctx.teacher_model is None:
            return
        for trunk in list(self.ctx.model.trunks)[: len(self.ctx.teacher_model.trunks)]:  # a new trunk has none yet
            for module in trunk.modules():
                if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
                    module.eval()
