"""The work of one step: read, split, grow, train, remember, score, save."""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from IncrementalSegLib.engine.models import load
from IncrementalSegLib.engine.presets import Preset, find_preset
from IncrementalSegLib.engine.progress import Progress, duration, part
from IncrementalSegLib.engine.remembering import remember, voxel_counts
from IncrementalSegLib.engine.request import StepRequest
from IncrementalSegLib.engine.runtime import Runtime
from IncrementalSegLib.engine.saving import read_memories, save
from IncrementalSegLib.engine.scoring import validation_dice
from IncrementalSegLib.engine.split import split
from IncrementalSegLib.engine.trainer import Curve, Trainer
from IncrementalSegLib.exemplars.memory import ExemplarMemory
from IncrementalSegLib.inference.predictor import Predictor
from IncrementalSegLib.networks.segmenter import Segmenter
from IncrementalSegLib.preprocessing.plan import Plan, plan_for
from IncrementalSegLib.prototypes.bank import PrototypeBank
from IncrementalSegLib.registry import find
from IncrementalSegLib.sampling.batch import PreparedCase
from IncrementalSegLib.sampling.cases import Case, naming
from IncrementalSegLib.sampling.datasets import read_case
from IncrementalSegLib.sampling.patches import PatchPool
from IncrementalSegLib.sampling.prepare import prepare, require_voxels
from IncrementalSegLib.store.versions import VersionRecord
from IncrementalSegLib.strategy.context import Memory, StepContext
from IncrementalSegLib.types import Json, StructureId
from IncrementalSegLib.volumes.io import read_volume
from IncrementalSegLib.volumes.volume import Grid

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StepResult:
    """What a step made.

    Attributes:
        record: Record of the new version.
        curve: What happened while training.
    """

    record: VersionRecord
    curve: Curve

    def to_json(self) -> Json:
        """Return the object that ``learn --json`` prints."""
        return {
            "version": self.record.number,
            "parent": self.record.parent,
            "accepted": self.record.accepted,
            "held_back_by": list(self.record.held_back_by),
            "structures": list(self.record.structures.names),
            "seconds": self.record.seconds,
            "method": self.record.step["method"],
            "validation": {
                self.record.structures.by_id(item).name: score for item, score in self.record.scores.items()
            },
        }


class Step:
    """The work of one step, in the order of its methods.

    Args:
        request: What to do, checked.
        runtime: Device and precision.
        preset_name: Schedule and, at the first step, size; ``None`` chooses by device.
        steps: Optimiser steps at most; ``None``: the preset's.
        keep_exemplars: Whether scans may be kept.
        seed: Decides everything random.
        progress: Receives progress.
    """

    def __init__(
        self,
        request: StepRequest,
        runtime: Runtime,
        *,
        preset_name: str | None,
        steps: int | None,
        keep_exemplars: bool,
        seed: int,
        progress: Progress,
    ) -> None:
        self.request, self.runtime, self.progress = request, runtime, progress
        dimension = find("network", request.network).dimension
        chosen = preset_name or ("standard" if runtime.device.type == "cuda" else "quick")
        self.preset: Preset = find_preset(chosen, dimension)
        self.dimension = dimension
        self.steps, self.keep_exemplars, self.seed = steps, keep_exemplars, seed

    def run(self) -> StepResult:
        """Do the step and save its version."""
        began = time.monotonic()
        history = self.request.history
        training, aside = split(self.request.cases.cases, self.seed, history.trained, history.set_aside)
        plan = self._plan()
        prepared = self._prepare([*training, *aside], plan)
        cases, held = prepared[: len(training)], prepared[len(training) :]
        names = {item: self.request.structures.by_id(item).name for item in self.request.taught}
        require_voxels(cases, names)
        ctx = self._context(cases)
        predictor = Predictor(ctx.model, plan, self.runtime.device, self.runtime.autocast)
        curve = self._train(ctx, plan, lambda: validation_dice(predictor, held, self.request.taught))
        ctx.model.eval()
        selection = remember(
            self.request.method,
            ctx,
            self.request.taught,
            plan.patch,
            self.request.weights,
            self.keep_exemplars,
            self.progress,
        )
        scores = {
            item: {
                "validation_dice": validation_dice(predictor, held, [item]),
                "cases": sum(item in case.structures for case in held),
            }
            for item in self.request.taught
        }
        self.progress("Saving", 0.0)
        record = save(
            self.request,
            ctx,
            plan,
            curve,
            selection,
            scores=scores,
            step={
                "seed": self.seed,
                "preset": self.preset.name,
                "batch": self.preset.batch,
                "learning_rate": self.preset.learning_rate,
                "exemplars": "keep" if self.keep_exemplars else "none",
                "device": self.runtime.name,
                "precision": self.runtime.precision,
            },
            training=training,
            aside=aside,
            seconds=time.monotonic() - began,
        )
        return StepResult(record, curve)

    def _plan(self) -> Plan:
        """Return the model's plan, chosen from the scans at the first step."""
        if self.request.parent is not None:
            return Plan.model_validate(self.request.parent.preprocessing)
        grids: list[Grid] = []
        channels = 1
        for case in self.request.cases.cases:
            with naming(case):
                volume = read_volume(case.images)
                channels = channels if grids else volume.channels
                grids.append(volume.grid)
        multiple = 2 ** (len(self.preset.widths) - 1)
        return plan_for(
            grids,
            channels,
            self.dimension,
            multiple,
            self.preset.side,
            self.preset.patch_side,
        )

    def _prepare(self, cases: Sequence[Case], plan: Plan) -> list[PreparedCase]:
        prepared = []
        for done, case in enumerate(cases):
            self.progress("Reading", done / len(cases))
            with naming(case):
                volume, masks = read_case(case)
                wanted = {self.request.structure_of[name]: masks[name] for name in sorted(case.looked_for)}
                prepared.append(prepare(case, volume, wanted, plan))
        self.progress("Reading", 1.0)
        return prepared

    def _context(self, cases: Sequence[PreparedCase]) -> StepContext:
        """Build the step's network, its teacher and what earlier steps left."""
        request, runtime = self.request, self.runtime
        memory, exemplars, prototypes = Memory(), ExemplarMemory(), PrototypeBank()
        counts: dict[StructureId, tuple[int, int]] = {}
        teacher = None
        if request.folder is not None:
            loaded = load(request.folder, runtime)
            model, teacher = loaded.segmenter, copy.deepcopy(loaded.segmenter).eval()
            runtime.place(teacher, self.dimension)
            memory, exemplars, prototypes, counts = read_memories(request.folder)
        else:
            config = self.preset.config(request.network, int(cases[0].image.shape[0]))
            model = Segmenter(request.method.design(config))
        ctx = StepContext(
            model=model,
            teacher_model=teacher,
            structures=request.structures.ids,
            new=request.taught,
            memory=memory,
            exemplars=exemplars,
            prototypes=prototypes,
            cases=cases,
            voxel_counts=counts | voxel_counts(cases, request.taught),
            device=runtime.device,
            step=request.step,
            seed=self.seed,
            progress=part(self.progress, "Preparing"),
        )
        fresh = [item for item in request.taught if item not in model.structures]
        with torch.random.fork_rng(devices=[]):  # initial weights are drawn from torch's global generator
            torch.manual_seed(self.seed)
            request.method.grow(model, fresh, ctx)
        runtime.place(model, self.dimension)
        return ctx

    def _train(self, ctx: StepContext, plan: Plan, validate: Callable[[], float | None]) -> Curve:
        """Build the pools and train."""
        method = self.request.method
        method.begin_step(ctx)
        aims = {"new": (ctx.cases, self.request.taught), "exemplar": (method.rehearsal(ctx), ctx.structures)}
        self._warn_of_gaps(ctx)
        pools = {
            source: PatchPool(cases, ctx.structures, aim, plan, source)
            for source, (cases, aim) in aims.items()
            if cases
        }
        steps = self.steps if self.steps is not None else self.preset.total_steps(len(pools["new"]))
        trainer = Trainer(method, ctx, pools, self.preset, steps, self.runtime, validate, self.progress)
        if self.preset.name == "paper" and self.runtime.device.type == "cpu":
            log.warning(
                "The paper's width on a CPU: about %s for %d steps. A GPU, or --preset quick, is far faster.",
                duration(trainer.time_step() * steps),
                steps,
            )
        return trainer.run()

    def _warn_of_gaps(self, ctx: StepContext) -> None:
        """Say which old structures a rehearsing method has no exemplar of."""
        if "exemplars" not in self.request.method.needs:
            return
        bare = [item for item in ctx.old if not ctx.exemplars.take("random", [item])]
        if bare:
            log.warning(
                "No exemplar of %s is kept, so only the previous model's opinion holds it.",
                ", ".join(self.request.structures.by_id(item).name for item in bare),
            )
