"""One step, from data to a new version: check, read, split, grow, train, remember, score, save."""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from IncrementalSegLib.engine.models import load
from IncrementalSegLib.engine.presets import Preset, find_preset
from IncrementalSegLib.engine.progress import Progress, duration, silent
from IncrementalSegLib.engine.remembering import remember, voxel_counts
from IncrementalSegLib.engine.request import StepRequest, resolve
from IncrementalSegLib.engine.runtime import Runtime, start
from IncrementalSegLib.engine.saving import read_memories, save
from IncrementalSegLib.engine.scoring import validation_dice
from IncrementalSegLib.engine.split import split
from IncrementalSegLib.engine.trainer import Curve, Trainer
from IncrementalSegLib.errors import DataError, OptionError
from IncrementalSegLib.exemplars.memory import ExemplarMemory
from IncrementalSegLib.inference.predictor import Predictor
from IncrementalSegLib.networks.segmenter import Segmenter
from IncrementalSegLib.preprocessing.plan import Plan, plan_for
from IncrementalSegLib.prototypes.bank import PrototypeBank
from IncrementalSegLib.registry import find
from IncrementalSegLib.sampling.batch import PreparedCase
from IncrementalSegLib.sampling.cases import Case, Dataset
from IncrementalSegLib.sampling.datasets import read_case
from IncrementalSegLib.sampling.patches import PatchPool
from IncrementalSegLib.sampling.prepare import prepare, require_voxels
from IncrementalSegLib.store.versions import VersionRecord, create_or_open
from IncrementalSegLib.strategy.context import Memory, StepContext
from IncrementalSegLib.structures import Request
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


def learn(
    model: str | Path,
    data: str | Path | Dataset,
    structures: str | Sequence[Request],
    *,
    cases: str | None = None,
    improve: bool = False,
    method: str | None = None,
    options: Mapping[str, Any] | None = None,
    network: str | None = None,
    preset: str | None = None,
    steps: int | None = None,
    exemplars: Literal["keep", "none"] = "keep",
    seed: int = 0,
    device: str = "auto",
    progress: Progress = silent,
) -> StepResult:
    """Teach a model new structures, or improve known ones, and save the result as a new version.

    Args:
        model: The model's folder; the first step creates it.
        data: A data set: nnU-Net or Decathlon folder, or a manifest.
        structures: What was looked for in these cases: ``"femur, tibia=LABEL IN DATA"``.  Everything
            else is unknown there, not background.
        cases: Case ids, comma-separated, or a file with one id per line; all by default.
        improve: The structures are known and shall be improved.
        method: How old structures are kept; by default aeiseg where exemplars were kept, else lwfseg.
        options: Options of the method.
        network: ``unet2d`` (default) or ``unet3d``; fixed at the first step.
        preset: ``quick``, ``standard`` or ``paper``; by default standard on a GPU and quick on a CPU.
        steps: Optimiser steps at most; by default the preset's.
        exemplars: ``keep`` representative scans for later steps, or ``none``.
        seed: Decides split, initial values, batches and dropout.
        device: ``auto``, ``cpu`` or ``cuda``.
        progress: Receives progress; what it raises ends the step and changes nothing.

    Returns:
        The new version and the training curve.

    Raises:
        IncrementalSegError: Something named is unknown, does not fit, is missing or cannot be read or
            written; nothing on disk has changed.

    Example:
        >>> from IncrementalSegLib import learn
        >>> learn("shoulder", "scans", "humerus").record.number  # doctest: +SKIP
        1
    """
    _check_numbers(steps, seed)
    runtime = start(device)
    folder = create_or_open(model)
    with folder.writing():  # one step at a time
        request = resolve(
            folder, data, structures, cases=cases, improve=improve, method=method, options=options, network=network
        )
        return Step(
            request,
            runtime,
            preset_name=preset,
            steps=steps,
            keep_exemplars=exemplars == "keep",
            seed=seed,
            progress=progress,
        ).run()


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
        training, aside = split(self.request.cases.cases, self.seed)
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
            item: {"validation_dice": validation_dice(predictor, held, [item]), "cases": len(held)}
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
            with _naming(case):
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
            with _naming(case):
                volume, masks = read_case(case)
                wanted = {self.request.structure_of[name]: masks[name] for name in sorted(case.looked_for)}
                prepared.append(prepare(case, volume, wanted, plan))
        self.progress("Reading", 1.0)
        return prepared

    def _context(self, cases: Sequence[PreparedCase]) -> StepContext:
        """Build the step's network, its teacher and what earlier steps left."""
        request, runtime = self.request, self.runtime
        torch.manual_seed(self.seed)  # initial weights are drawn from torch's global generator
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
        )
        fresh = [item for item in request.taught if item not in model.structures]
        request.method.grow(model, fresh, ctx)
        runtime.place(model, self.dimension)
        return ctx

    def _train(self, ctx: StepContext, plan: Plan, validate: Callable[[], float | None]) -> Curve:
        """Build the pools and train."""
        method = self.request.method
        method.begin_step(ctx)
        aims = {"new": (ctx.cases, self.request.taught), "exemplar": (method.rehearsal(ctx), ctx.old)}
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
                duration(trainer.rehearse() * steps),
                steps,
            )
        return trainer.run()


def _check_numbers(steps: int | None, seed: int) -> None:
    for name, value, least in (("steps", steps, 1), ("seed", seed, 0)):
        if value is not None and value < least:
            raise OptionError(f"The option {name} is {value}.", todo=f"Give {least} or more.")


@contextmanager
def _naming(case: Case) -> Iterator[None]:
    """Say which case an error is about and what can be done."""
    try:
        yield
    except DataError as error:
        what = error.what if repr(case.id) in error.what else f"The case {case.id!r} cannot be used: {error.what}"
        todo = error.todo or "Mend it, or leave it out with --cases; `incrementalseg check` looks at every case."
        raise type(error)(what, error.why, todo) from error
