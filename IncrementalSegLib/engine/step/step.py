"""The work of one step: read, split, grow, train, remember, score, save."""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Callable
from pathlib import Path

import torch

from IncrementalSegLib.engine.carried import read_carried_state
from IncrementalSegLib.engine.gate.judge import GateInputs, judge
from IncrementalSegLib.engine.gate.scans import RetentionCopies
from IncrementalSegLib.engine.gate.scorer import Pictures
from IncrementalSegLib.engine.history import History
from IncrementalSegLib.engine.models import load
from IncrementalSegLib.engine.runtime import Runtime
from IncrementalSegLib.engine.scores.scoring import Validation, validate
from IncrementalSegLib.engine.settings import RunSettings, StepSettings
from IncrementalSegLib.engine.step.checkpoints import Checkpoints
from IncrementalSegLib.engine.step.data import StepData, read_step_data
from IncrementalSegLib.engine.step.monitor import OldStructures, TrainingMonitor
from IncrementalSegLib.engine.step.presets import Preset, find_preset
from IncrementalSegLib.engine.step.remembering import remember, voxel_counts
from IncrementalSegLib.engine.step.request import StepRequest
from IncrementalSegLib.engine.step.result import StepResult
from IncrementalSegLib.engine.step.saving import save
from IncrementalSegLib.engine.step.state import TrainingCurve, TrainingState
from IncrementalSegLib.engine.step.trainer import Trainer
from IncrementalSegLib.errors import Call, IncrementalSegError, Set
from IncrementalSegLib.evaluation.retention import RetentionReport
from IncrementalSegLib.evaluation.verdicts import HARDLY_LEARNED
from IncrementalSegLib.exemplars.memory import ExemplarMemory
from IncrementalSegLib.inference.predictor import Predictor
from IncrementalSegLib.methods.base.context import MethodState, StepContext
from IncrementalSegLib.networks.segmenter import Segmenter
from IncrementalSegLib.preprocessing.plan import Plan
from IncrementalSegLib.progress import Phase, Share, Stop, duration, going_on
from IncrementalSegLib.prototypes.bank import PrototypeBank
from IncrementalSegLib.registry import find
from IncrementalSegLib.reports.page import check_report
from IncrementalSegLib.reports.retention import write_retention_page
from IncrementalSegLib.sampling.patches import PatchPool
from IncrementalSegLib.sampling.reading import CaseReader
from IncrementalSegLib.store.unfinished import Unfinished
from IncrementalSegLib.types import Json, StructureId

log = logging.getLogger(__name__)


class Step:
    """The work of one step, in the order of its methods.

    Args:
        request: What to do, checked.
        runtime: Device and precision.
        settings: How to do it.
        run: Where pages and pictures go, and who is told.
        asked: What the command was called with, kept with the checkpoints for :func:`learn.resume`.
        resuming: Continue from the checkpoint.
    """

    def __init__(
        self,
        request: StepRequest,
        runtime: Runtime,
        settings: StepSettings,
        run: RunSettings | None = None,
        *,
        asked: Json | None = None,
        resuming: bool = False,
    ) -> None:
        run = run or RunSettings()
        if run.report is not None:
            check_report(Path(run.report))
        self.request, self.runtime, self.settings, self.progress = request, runtime, settings, run.progress
        self.asked, self.resuming, self.report = asked or {}, resuming, run.report
        self.previews, self.on_validation = run.previews, run.on_validation
        self.reader = CaseReader(request.cases, strict=settings.strict)
        self.dimension = find("network", request.network).dimension
        chosen = settings.preset or ("standard" if runtime.device.type == "cuda" else "quick")
        self.preset: Preset = find_preset(chosen, self.dimension)

    def run(self) -> StepResult:
        """Do the step and save its version.

        Raises:
            Stop: A person ended it; a checkpoint stands or not, as they wished.
        """
        try:
            return self._run()
        except Stop as stop:
            unfinished = Unfinished(self.request.target.path)
            if stop.wish == "discard":
                unfinished.remove()
            stop.kept = unfinished.exists
            raise
        except Exception:  # a full disk, a scan that is gone: no reason to train again
            if Unfinished(path := self.request.target.path).exists:
                go_on = Call("resume", {"model": str(path)})
                log.warning("The training so far is kept; %s continues it.", go_on)
            raise

    def _run(self) -> StepResult:
        began = time.monotonic()
        material = read_step_data(self.request, self.preset, self.settings, self.progress, self.reader)
        ctx = self._context(material)
        predictor = self._predictor(ctx.model, material.plan)
        prepared = [*material.cases, *material.held]
        checkpoints = Checkpoints(self.request, self.asked, self.runtime, prepared)
        curve = self._train(ctx, material, predictor, checkpoints)
        self.progress = going_on(self.progress)
        result = self._finish(ctx, material, predictor, curve, began)
        checkpoints.remove()
        if curve.nothing_learned:
            log.warning(
                "The Dice on the held-out cases stayed below %g, so no weights stood out; the last ones are kept.",
                HARDLY_LEARNED,
            )
        return result

    def _finish(
        self, ctx: StepContext, material: StepData, predictor: Predictor, curve: TrainingCurve, began: float
    ) -> StepResult:
        """Remember, judge, score and save what was trained."""
        ctx.model.eval()
        request, settings, held = self.request, self.settings, material.held
        earlier = ctx.exemplars  # without those of this step
        selection = remember(
            request.method,
            ctx,
            request.taught,
            patch=material.plan.patch,
            weights=request.weights,
            keep_exemplars=settings.exemplars == "keep",
            progress=self.progress,
        )
        validation = validate(predictor, held, request.taught)
        scores = {
            item: {"validation_dice": validation.of(item), "cases": sum(item in case.structures for case in held)}
            for item in request.taught
        }
        pictures: Pictures | None = {} if self.report is not None else None
        report = self._judge(ctx, predictor, earlier, request.history, pictures)
        self.progress(Phase.SAVING, 0.0)
        step = {
            "id": request.id,
            "preset": self.preset.name,
            "batch": self.preset.batch,
            "learning_rate": self.preset.learning_rate,
            "device": self.runtime.name,
            "precision": self.runtime.precision,
            "notes": self.reader.counts,
        }
        seconds = time.monotonic() - began
        record = save(
            request,
            ctx,
            material=material,
            curve=curve,
            settings=settings,
            selection=selection,
            report=report,
            scores=scores,
            step=step,
            seconds=seconds,
        )
        page = None
        if self.report is not None and pictures is not None and record.parent is not None:
            page = self._page(report, pictures, record.parent, record.number)
        return StepResult(record, curve, report, page, self.reader.notes)

    def _page(self, report: RetentionReport, pictures: Pictures, before: int, after: int) -> Path | None:
        """Write the page; a version that stands is not lost for it."""
        assert self.report is not None
        try:
            return write_retention_page(
                report, pictures, folder=self.report, name=self.request.target.name, before=before, after=after
            )
        except IncrementalSegError as error:
            log.warning("Version %d is saved, but its page is not: %s", after, error)
            return None

    def _judge(
        self,
        ctx: StepContext,
        after: Predictor,
        exemplars: ExemplarMemory,
        history: History,
        pictures: Pictures | None = None,
    ) -> RetentionReport:
        """Score the version before and the candidate on every structure that both know."""
        folder, parent = self.request.folder, self.request.parent
        if folder is None or parent is None or ctx.teacher_model is None:
            return RetentionReport(limits=self.settings.limits)
        return judge(
            self._predictor(ctx.teacher_model, after.plan),
            after,
            parent.structures,
            GateInputs(history, RetentionCopies.of(folder), exemplars, ctx.cases, reader=self.reader),
            limits=self.settings.limits,
            pictures=pictures,
            progress=self.progress,
        )

    def _context(self, material: StepData) -> StepContext:
        """Build the step's network, its teacher and what earlier steps left."""
        request, runtime = self.request, self.runtime
        memory, exemplars, prototypes = MethodState(), ExemplarMemory(), PrototypeBank()
        counts: dict[StructureId, tuple[int, int]] = {}
        teacher = None
        if request.folder is not None:
            loaded = load(request.folder, runtime)
            model, teacher = loaded.segmenter, copy.deepcopy(loaded.segmenter)
            runtime.place(teacher, self.dimension)
            memory, exemplars, prototypes, counts = read_carried_state(request.folder)
        else:
            config = self.preset.config(request.network, int(material.cases[0].image.shape[0]))
            model = Segmenter(request.method.design(config.model_copy(update={"output": request.method.output})))
        ctx = StepContext(
            model=model,
            teacher_model=teacher,
            structures=request.structures.ids,
            new=request.taught,
            memory=memory,
            exemplars=exemplars,
            prototypes=prototypes,
            cases=material.cases,
            voxel_counts=counts | voxel_counts(material.cases, request.taught),
            device=runtime.device,
            step=request.step,
            seed=self.settings.seed,
            plan=material.plan,
            text=request.text,
            progress=Share.of(self.progress, Phase.PREPARING),
        )
        fresh = [item for item in request.taught if item not in model.structures]
        with torch.random.fork_rng(devices=[]):  # initial weights are drawn from torch's global generator
            torch.manual_seed(self.settings.seed)
            request.method.grow(model, fresh, ctx)
        runtime.place(model, self.dimension)
        return ctx

    def _train(
        self,
        ctx: StepContext,
        material: StepData,
        predictor: Predictor,
        checkpoints: Checkpoints,
    ) -> TrainingCurve:
        """Begin or resume the step, and train."""
        state = checkpoints.read(ctx) if self.resuming else None
        if state is None:
            self.request.method.begin_step(ctx)
        trainer = self._trainer(ctx, material, predictor, lambda state: checkpoints.write(state, ctx), state)
        if self.preset.name == "paper" and self.runtime.device.type == "cpu":
            steps = trainer.curve.planned
            log.warning(
                "The paper's width on a CPU: about %s for %d steps. A GPU, or %s, is far faster.",
                duration(trainer.time_step() * steps),
                steps,
                Set("preset", "quick"),
            )
        try:
            return trainer.run()
        except IncrementalSegError:  # continuing would end in the same way
            checkpoints.remove()
            raise

    def _trainer(
        self,
        ctx: StepContext,
        material: StepData,
        predictor: Predictor,
        checkpoint: Callable[[TrainingState], None],
        state: TrainingState | None = None,
    ) -> Trainer:
        """Build the pools and the loop over them."""
        method, settings = self.request.method, self.settings
        aims = {"new": (ctx.cases, self.request.taught), "exemplar": (method.rehearsal(ctx), ctx.structures)}
        self._warn_of_gaps(ctx)
        pools = {
            source: PatchPool(cases, ctx.structures, aim, material.plan, source)
            for source, (cases, aim) in aims.items()
            if cases
        }

        # so that a long evaluation can be stopped too
        still_learning = Share(lambda _: self.progress(Phase.TRAINING, trainer.curve.steps / trainer.curve.planned))
        monitor = self._monitor(ctx, material, still_learning)

        last = [Validation()]

        def score() -> float | None:
            see = monitor.see if monitor is not None else None
            found = validate(predictor, material.held, self.request.taught, still_learning, see)
            if monitor is not None:
                monitor.on_validation(found, trainer.curve.steps / trainer.curve.planned)
            last[0] = found
            return found.mean

        trainer = Trainer(
            method=method,
            ctx=ctx,
            pools=pools,
            preset=self.preset,
            steps=settings.steps if settings.steps is not None else self.preset.total_steps(len(pools["new"])),
            runtime=self.runtime,
            validate=score,
            progress=self.progress,
            checkpoint=checkpoint,
            state=state,
            missing=lambda: bool(last[0].unlearned),
        )
        return trainer

    def _monitor(self, ctx: StepContext, material: StepData, progress: Share) -> TrainingMonitor | None:
        """Return who looks at the training, where somebody wants to know."""
        request = self.request
        if self.on_validation is None:
            return None
        past = None
        if (folder := request.folder) is not None and ctx.teacher_model is not None:
            before = self._predictor(ctx.teacher_model, material.plan)
            past = OldStructures(ctx.old, before, request.history, lambda: RetentionCopies.of(folder), ctx.exemplars)
        return TrainingMonitor(
            tell=self.on_validation,
            names=request.structures,
            new=request.taught,
            after=self._predictor(ctx.model, material.plan),  # with memory of its own, so that looking leaves no trace
            past=past,
            training=material.cases,
            folder=Path(self.previews) if self.previews is not None else None,
            progress=progress,
        )

    def _predictor(self, model: Segmenter, plan: Plan) -> Predictor:
        return Predictor(model, plan, self.runtime.device, self.runtime.autocast)

    def _warn_of_gaps(self, ctx: StepContext) -> None:
        """Say which old structures a rehearsing method has no exemplar of."""
        if "exemplars" not in self.request.method.needs:
            return
        missing = [item for item in ctx.old if not ctx.exemplars.take("random", [item])]
        if missing:
            log.warning(
                "There is no exemplar of %s: only distillation keeps it.",
                ", ".join(self.request.structures.by_id(item).name for item in missing),
            )
