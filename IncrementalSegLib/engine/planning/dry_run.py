"""A dry run: each part of a step on few cases, timed; nothing of it stays."""

from __future__ import annotations

import math
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from IncrementalSegLib.engine.domain import TrainingDomain
from IncrementalSegLib.engine.gate.scans import RetentionCopies
from IncrementalSegLib.engine.history import History
from IncrementalSegLib.engine.step.data import StepData, Subset, model_plan, not_judged, read_unlabelled
from IncrementalSegLib.engine.step.setup import StepSetup, grow
from IncrementalSegLib.engine.step.split import split
from IncrementalSegLib.engine.step.state import Snapshot
from IncrementalSegLib.engine.step.step import judge_step, remember_step
from IncrementalSegLib.engine.step.trainer import CHECKPOINT_SECONDS, Trainer
from IncrementalSegLib.engine.step.training import build_trainer
from IncrementalSegLib.engine.step.validator import Validator
from IncrementalSegLib.exemplars.memory import ORDERS, ExemplarMemory
from IncrementalSegLib.inference.predictor import Predictor
from IncrementalSegLib.methods.base.context import StepContext
from IncrementalSegLib.methods.base.method import TrainingPhase
from IncrementalSegLib.progress import EstimatePart, Phase, Share, silent
from IncrementalSegLib.sampling.cases import Case, naming
from IncrementalSegLib.sampling.prepare import prepare_case
from IncrementalSegLib.sampling.reading import sample
from IncrementalSegLib.store.manifest import fingerprint
from IncrementalSegLib.store.unfinished import Unfinished

T = TypeVar("T")

TRAINING_CASES, HELD_OUT_CASES = 4, 2
"""Number of cases in the sample."""

_WARM_UP, _TIMED, _SECONDS = 3, 12, 30.0
"""Optimiser steps that are not counted, steps that are, and when to be content with fewer."""

_STEPS_UNTIL = 0.7
"""Share of the dry run that is done when the optimiser steps are."""


@dataclass(frozen=True)
class Measured:
    """Duration and memory of a full step.

    Attributes:
        seconds: Part of the step -> seconds.
        steps: Optimiser steps of the full schedule.
        memory: Peak in bytes, of the GPU or, on a CPU, of the whole process; ``None``: not known.
        disk: Bytes of the version.
        unjudged: Names of structures that no held-out scan will show.
    """

    seconds: dict[EstimatePart, float]
    steps: int
    memory: int | None
    disk: int
    unjudged: tuple[str, ...] = ()


class DryRun:
    """A step of which every part is done once on few cases; the model is not touched.

    Args:
        setup: The step.
    """

    def __init__(self, setup: StepSetup) -> None:
        self.setup, self.progress = setup, setup.progress
        self.request, self.settings, self.runtime, self.reader = (
            setup.request,
            setup.settings,
            setup.runtime,
            setup.reader,
        )

    def measure(self) -> Measured:
        """Do it.

        Raises:
            IncrementalSegError: The step could not be done.
        """
        if self.runtime.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.runtime.device)
        preset = self.setup.preset
        data, train, held_out, reading = self._read()
        preparing, ctx = self._timed(lambda: grow(self.setup, data))
        begun, _ = self._timed(lambda: self.request.method.begin_step(ctx))
        predictor = self.setup.predictor(ctx.model, data.plan)
        validator = Validator(predictor, data.held_out.prepared, ctx.new, silent)
        trainer = build_trainer(self.setup, ctx, data, validator)
        items = round(train * len(trainer.pools["new"]))
        steps = self.settings.steps if self.settings.steps is not None else preset.total_steps(items)
        learning = steps * self._step_seconds(trainer)
        evaluating = held_out * self._twice(lambda: validator(0.0))
        rounds = math.ceil(steps / max(1, -(-steps // preset.evaluations)))
        checkpoint, written = self._checkpoint(trainer)
        ctx.model.eval()
        earlier = ctx.exemplars
        remembering, _ = self._timed(lambda: remember_step(replace(self.setup, progress=silent), ctx, data))
        judging = self._judging(predictor, ctx, earlier)
        size = self._size(ctx, earlier, data, train)
        seconds = {
            EstimatePart.READING: reading,
            EstimatePart.PREPARING: preparing + train * begun,
            EstimatePart.LEARNING: learning,
            EstimatePart.SCORING: evaluating * (rounds + 1),
            EstimatePart.CHECKPOINTS: checkpoint * (2 + rounds + learning // CHECKPOINT_SECONDS),
            EstimatePart.REMEMBERING: train * remembering,
            EstimatePart.JUDGING: judging,
            EstimatePart.SAVING: checkpoint * size / written,
        }
        self.progress(Phase.MEASURING, 1.0)
        names = tuple(self.request.structures.by_id(item).name for item in data.unjudged)
        return Measured(seconds, steps, self._peak(data, train), size, names)

    def _read(self) -> tuple[StepData, float, float, float]:
        """Return a few cases, the factors to the training and the held-out cases, and the seconds to read all."""
        request, history = self.request, self.request.history
        shown: dict[str, frozenset[str]] = {}

        def present(case: Case) -> frozenset[str]:
            if case.id not in shown:
                with naming(case):
                    shown[case.id] = frozenset(name for name, mask in self.reader.read(case)[1].items() if mask.any())
            return shown[case.id]

        def divide() -> tuple[list[Case], list[Case]]:
            return split(request.cases.cases, self.settings.seed, history.trained, history.held_out, present)

        divide()  # reads labels, which a step reads once, with the scans
        splitting, (training, held_out) = self._timed(divide)
        blind = not_judged(request, held_out, present)
        few, few_held_out = _spread(training, TRAINING_CASES), _spread(held_out, HELD_OUT_CASES)
        read = (*few, *few_held_out)
        narrowed = replace(request, cases=replace(request.cases, cases=read))
        planning, plan = self._timed(
            lambda: model_plan(narrowed, self.setup.preset, self.reader, self.settings.normalisation)
        )
        reading, prepared = self._timed(
            lambda: [prepare_case(case, request.structure_of, plan, self.reader.read) for case in read]
        )
        hashing, _ = self._timed(lambda: [fingerprint(case.images) for case in read])
        few_unlabelled = _spread(request.unlabelled, TRAINING_CASES)
        extra, unlabelled = self._timed(
            lambda: read_unlabelled(few_unlabelled, plan, silent, strict=self.settings.strict)
        )
        data = StepData(
            plan=plan,
            unlabelled=unlabelled,
            train=Subset(training, prepared[: len(few)]),
            held_out=Subset(held_out, prepared[len(few) :]),
            domain=TrainingDomain(),
            unjudged=blind,
        )
        factor = (len(training) + len(held_out)) / len(read)
        self._read_notes(case for case in sample(request.cases.cases, self.settings.strict) if case not in read)
        seconds = splitting + factor * (planning + reading + hashing) + self._unlabelled_factor(unlabelled) * extra
        return data, len(training) / len(few), len(held_out) / max(1, len(few_held_out)), seconds

    def _unlabelled_factor(self, unlabelled: Subset) -> float:
        """Return how many times as many unlabelled cases the step has."""
        return len(self.request.unlabelled) / max(1, len(unlabelled.cases))

    def _read_notes(self, others: Iterable[Case]) -> None:
        """Read further cases for what a person should know of them."""
        for case in others:
            self.progress(Phase.MEASURING, 0.0)
            self.reader.read(case)
        self.reader.finish()

    def _step_seconds(self, trainer: Trainer) -> float:
        """Return the mean seconds of an optimiser step over the method's phases."""
        phases = trainer.method.phases(trainer.ctx)
        timing, seconds = Share.of(self.progress, Phase.MEASURING).sub(0.0, _STEPS_UNTIL), 0.0
        for number, phase in enumerate(phases):
            report = timing.sub(number / len(phases), (number + 1) / len(phases))
            with trainer.batches.ahead():
                seconds += phase.share * self._phase_seconds(trainer, phase, report)
        return seconds

    def _phase_seconds(self, trainer: Trainer, phase: TrainingPhase, report: Share) -> float:
        """Time each pool by itself, because batches of exemplars are cheaper, and weigh by their probabilities."""
        shares = {name: share for name, share in trainer.method.sources(trainer.ctx).items() if name in trainer.pools}
        wanted = {name for name, share in shares.items() if share > 0}
        times: dict[str, list[float]] = {name: [] for name in wanted}
        trainer.state.optimiser = optimiser = trainer.optimiser(phase)
        began, index = time.monotonic(), 0
        while min(map(len, times.values())) < _WARM_UP + _TIMED:
            start = time.monotonic()
            batch = trainer.batch(index)
            trainer.update(batch, phase, optimiser)
            self.runtime.wait()
            times[batch.source].append(time.monotonic() - start)
            index += 1
            passed, fewest = (time.monotonic() - began) / _SECONDS, min(map(len, times.values()))
            report(min(1.0, max(passed, fewest / (_WARM_UP + _TIMED))))
            if passed > 1 and fewest > _WARM_UP:
                break
        means = {name: sum(found[_WARM_UP:]) / len(found[_WARM_UP:]) for name, found in times.items()}
        return sum(shares[name] * mean for name, mean in means.items()) / sum(shares[name] for name in means)

    def _checkpoint(self, trainer: Trainer) -> tuple[float, int]:
        """Return the seconds to write a checkpoint and its bytes."""
        trainer.state.best = (0.0, Snapshot.of(trainer.ctx))
        with tempfile.TemporaryDirectory() as folder:
            document, tensors = trainer.state.to_files(trainer.ctx)
            seconds, _ = self._timed(lambda: Unfinished(Path(folder)).write({}, document, tensors))
        trainer.state.best = None
        return seconds, _bytes(tensors.values())

    def _judging(self, predictor: Predictor, ctx: StepContext, exemplars: ExemplarMemory) -> float:
        """Return the seconds of the gate, from a few of the scans that will judge."""
        if ctx.teacher_model is None:
            return 0.0
        history, factor = _few_judges(self.request.judging)
        seconds, _ = self._timed(lambda: judge_step(self.setup, ctx, predictor, exemplars, history))
        return seconds * factor

    def _size(self, ctx: StepContext, before: ExemplarMemory, data: StepData, share: float) -> int:
        """Return the bytes of the version: weights, exemplars, memory and copies."""
        added, count = ctx.exemplars.storage_bytes - before.storage_bytes, len(ctx.exemplars) - len(before)
        most = len(ORDERS) * self.request.method.options.keep * len(ctx.new)
        grown = added * max(1.0, min(share, most / count)) if count > 0 else 0.0
        copies = 0
        if self.settings.retention == "copy" and data.held_out.cases:
            one = RetentionCopies().with_case(data.held_out.cases[0], self.request.structure_of)
            copies = _bytes(one.tensors.values()) * len(data.held_out.cases)
        if self.request.folder is not None:
            copies += _bytes(RetentionCopies.of(self.request.folder).tensors.values())
        kept = _bytes([*ctx.model.state_dict().values(), *ctx.memory.tensors.values()])
        return int(kept + before.storage_bytes + grown + copies)

    def _peak(self, data: StepData, share: float) -> int | None:
        """Return the peak of the GPU's memory, or of this process with all cases in it; ``None``: not known."""
        if self.runtime.device.type == "cuda":
            return int(torch.cuda.max_memory_allocated(self.runtime.device))
        try:
            import resource
        except ImportError:  # Windows
            return None
        unit = 1 if sys.platform == "darwin" else 1024
        read = ((share, data.train), (self._unlabelled_factor(data.unlabelled), data.unlabelled))
        unread = sum(
            (factor - 1) * (case.image.nbytes + case.masks.nbytes) for factor, part in read for case in part.prepared
        )
        return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit + unread)

    def _timed(self, work: Callable[[], T]) -> tuple[float, T]:
        self.runtime.wait()
        began = time.monotonic()
        found = work()
        self.runtime.wait()
        return time.monotonic() - began, found

    def _twice(self, work: Callable[[], object]) -> float:
        """Return the seconds of the second time: the first also sets up the kernels."""
        self._timed(work)
        return self._timed(work)[0]


def _spread(cases: Sequence[Case], most: int) -> list[Case]:
    """Return at most ``most`` cases, evenly spread."""
    count = min(most, len(cases))
    return [cases[number * len(cases) // count] for number in range(count)]


def _few_judges(history: History) -> tuple[History, float]:
    """Return the history with few of the scans that judge, and how many times as many there are."""
    prints = list(dict.fromkeys(entry["sha256"] for step in history.steps for entry in step["held_out"]))
    few = set(prints[:HELD_OUT_CASES])
    steps = tuple(
        {**step, "held_out": [entry for entry in step["held_out"] if entry["sha256"] in few]} for step in history.steps
    )
    return History(steps), max(1.0, len(prints) / HELD_OUT_CASES)


def _bytes(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.nbytes for tensor in tensors)
