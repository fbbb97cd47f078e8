"""A session of corrections on the disk: rounds that can be undone, until what was learned is kept or discarded."""

from __future__ import annotations

import time
import uuid
from dataclasses import replace
from typing import Literal

from IncrementalSegLib.correction.strokes import Strokes
from IncrementalSegLib.engine.domain import TrainingDomain
from IncrementalSegLib.engine.gate.judge import GateInputs, judge
from IncrementalSegLib.engine.gate.scans import RetentionCopies
from IncrementalSegLib.engine.history import History, case_entry
from IncrementalSegLib.engine.ready import ReadyModel
from IncrementalSegLib.engine.runtime import Runtime
from IncrementalSegLib.engine.session.learner import STEPS, Learner, LearnerSettings
from IncrementalSegLib.engine.session.rounds import Rounds
from IncrementalSegLib.engine.session.scans import CorrectedScan
from IncrementalSegLib.engine.session.status import SessionStatus
from IncrementalSegLib.engine.sources import ScanSource
from IncrementalSegLib.engine.step.checkpoints import awaits_acceptance, has_moved_on
from IncrementalSegLib.engine.step.data import Subset
from IncrementalSegLib.engine.step.result import StepResult
from IncrementalSegLib.engine.step.saving import save
from IncrementalSegLib.engine.step.state import TrainingState
from IncrementalSegLib.errors import CommandRef, DataError, Hint, ModelError
from IncrementalSegLib.inference.prediction import Prediction
from IncrementalSegLib.progress import Phase, Progress, Share
from IncrementalSegLib.sampling.cases import Dataset
from IncrementalSegLib.store.correcting import Correcting, has_ended, version_of
from IncrementalSegLib.store.manifest import fingerprint
from IncrementalSegLib.store.versions import ModelFolder
from IncrementalSegLib.volumes.volume import Volume


class Session:
    """The session of a model; write it only while holding the model's lock.

    Args:
        folder: The model.

    Raises:
        ModelError: A file is damaged.
    """

    def __init__(self, folder: ModelFolder) -> None:
        self.folder, self.store = folder, Correcting(folder.path)
        self.document = self.store.document("session")

    @property
    def candidate(self) -> int | None:
        """The version that holds what was learned; it stays open until that is accepted."""
        return version_of(self.document, self.folder) if self.document else None

    @property
    def method(self) -> str | None:
        """The method of the open session; ``None`` where none is open."""
        return self.document["method"] if self.document and not has_ended(self.document, self.folder) else None

    @property
    def settings(self) -> LearnerSettings | None:
        """Settings of its learning; ``None`` where no session is open."""
        asked = self.document
        return LearnerSettings(asked["method"], asked["options"], asked["seed"]) if asked else None

    def settle(self) -> None:
        """Finish a session whose version is in use, or was about to be when the process died.

        Raises:
            ModelError: The model cannot be written.
        """
        if self.document and has_ended(self.document, self.folder):
            number = self.candidate
            assert number is not None
            if awaits_acceptance(self.folder, number) and not has_moved_on(self.document, self.folder):
                self.folder.accept(number)
            self.discard()

    def status(self) -> SessionStatus:
        """Return what was done so far."""
        if self.method is None:
            return SessionStatus(self.folder.current, None, 0, 0, ())
        parent = self.document["parent"]  # a later version may have removed a structure
        names = {item.id: item.name for item in self.folder.record(parent).structures}
        rounds, number = self.store.rounds, self.candidate
        return SessionStatus(
            parent=parent,
            method=self.document["method"],
            rounds=rounds[-1],
            undoable=len(rounds) if rounds[0] == 1 else len(rounds) - 1,
            scans=tuple(
                {
                    "scan": scan.source.name,
                    "rounds": scan.rounds,
                    "voxels": int(scan.strokes.known.sum()),
                    "agreement": {names[item]: scan.agreement(item) for item in scan.first},
                }
                for scan in self._scans()
            ),
            candidate=None if number is None or self.folder.status(number) == "rejected" else number,
        )

    def correct(
        self,
        source: ScanSource,
        volume: Volume,
        strokes: Strokes,
        settings: LearnerSettings,
        ready: ReadyModel,
        runtime: Runtime,
        steps: int = STEPS,
        progress: Progress = lambda *_: None,
    ) -> tuple[Prediction, Rounds]:
        """Do a round, which :meth:`save` writes.

        Args:
            source: The scan.
            volume: The same, read.
            strokes: Of this round.
            settings: How to learn, where this is the first round.
            ready: The version in use.
            runtime: Device and precision.
            steps: Optimiser steps.
            progress: Receives progress.

        Raises:
            DataError: The scan is one that the model must not learn from.
            IncrementalSegError: The method does not fit.
        """
        self.check_parent()
        learner = Learner(self.folder, settings, runtime, progress, ready.loaded)
        self._refuse_judges(source, learner.setup.request.history)
        self._restore(learner)
        rounds = Rounds(ready, learner, self._scans())
        share = Share.of(progress, Phase.SEGMENTING.of(source.name))
        return rounds.correct(source, volume, strokes, steps, share), rounds

    def save(self, rounds: Rounds, settings: LearnerSettings) -> None:
        """Write a round; where that fails it does not count.

        Args:
            rounds: The rounds so far.
            settings: How to learn, where this is the first round.

        Raises:
            ModelError: It cannot be written.
        """
        learner = rounds.learner
        *earlier, last = rounds.scans.values()
        known = {item["sha256"]: item for item in self.document.get("scans", ())}
        free = 1 + max((item["file"] for item in known.values()), default=0)
        description, tensors = last.to_files()
        described = description | {"file": known.get(last.sha256, {"file": free})["file"]}
        assert learner.state is not None
        training, weights = learner.state.to_files(learner.ctx)
        begun = self.document or {"parent": self.folder.current} | vars(settings)
        document = begun | {"id": uuid.uuid4().hex, "scans": [*(known[scan.sha256] for scan in earlier), described]}
        self.store.write(
            {"session": document, "training": training},
            {"training": weights, f"scan{described['file']:04d}": tensors},
        )
        self.document = document

    def rounds(self, ready: ReadyModel, runtime: Runtime, progress: Progress = lambda *_: None) -> Rounds:
        """Return the rounds so far; their model predicts with what was learned.

        Args:
            ready: The version in use.
            runtime: Device and precision.
            progress: Receives progress.

        Raises:
            ModelError: Another version is in use than when the session began, or a file is damaged.
        """
        self.check_parent()
        assert self.settings is not None
        learner = Learner(self.folder, self.settings, runtime, progress, ready.loaded)
        self._restore(learner)
        return Rounds(ready, learner, self._scans())

    def undo(self) -> None:
        """Take back the last round; the first one ends the session.

        Raises:
            ModelError: It was too long ago, or cannot be removed.
        """
        rounds = self.store.rounds
        if len(rounds) == 1 and rounds[0] > 1:
            raise ModelError(
                f"Round {rounds[0]} of the correction session cannot be undone.",
                "Only the last few rounds are stored.",
                "Discard the session, or correct once more.",
            )
        if len(rounds) == 1:
            self.store.remove()
        else:
            self.store.undo()
        self.document = self.store.document("session")

    def keep(self, runtime: Runtime, progress: Progress, accept: Literal["gate", "never"] = "gate") -> StepResult:
        """Make a version of what was learned and let the gate judge it; the session ends where it is used.

        Args:
            runtime: Device and precision.
            progress: Receives progress.
            accept: Whether the gate decides about its use, or a person later.

        Raises:
            IncrementalSegError: It cannot be written; the session stays.
        """
        if (number := self.candidate) is not None:
            if accept == "gate" and not self.folder.record(number).held_back_by:
                self.folder.accept(number)
            return StepResult.of(self.folder, number)
        began, folder, settings = time.monotonic(), self.folder, self.settings
        self.check_parent()
        assert settings is not None
        learner = Learner(folder, settings, runtime, progress)
        self._restore(learner)
        setup, ctx, scans = learner.setup, learner.ctx, self._scans()
        assert learner.state is not None
        assert ctx.teacher_model is not None
        ctx.cases = scans[-1].pieces  # `next_scan` has seen those before
        cases = [scan.case for scan in scans]
        request = replace(setup.request, cases=Dataset("corrections", folder.path, (), tuple(cases)))
        setup.request.method.remember(ctx)
        history = request.history
        report = judge(
            setup.predictor(ctx.teacher_model, learner.data.plan),
            learner.predictor,
            folder.record().structures,
            GateInputs(history, RetentionCopies.of(folder), ctx.exemplars, reader=setup.reader),
            limits=setup.settings.limits,
            progress=progress,
        )
        entries = [case_entry(case, request.structure_of, findable=False) for case in cases]
        last = {item: history.last_step(item) for item in request.taught}
        data = replace(
            learner.data,
            train=Subset(cases, (), entries),
            domain=TrainingDomain.of(folder, None, lambda _: None),
            unjudged=tuple(item for item, step in last.items() if step and item in step.get("unjudged", ())),
        )
        progress(Phase.SAVING, 0.0)
        record = save(
            request,
            ctx,
            data=data,
            curve=learner.state.curve,
            settings=replace(setup.settings, accept=accept),
            selection={},
            report=report,
            scores={},
            step={"id": self.document["id"], "corrected": [scan.source.name for scan in scans]},
            seconds=time.monotonic() - began,
        )
        if record.accepted:
            self.discard()
        return StepResult(record, learner.state.curve, report)

    def discard(self) -> None:
        """Forget everything that was learned since the session began.

        Raises:
            ModelError: It cannot be removed.
        """
        self.store.remove()
        self.document = {}

    def _scans(self) -> list[CorrectedScan]:
        return [
            CorrectedScan.from_files(item, self.store.tensors(f"scan{item['file']:04d}"))
            for item in self.document.get("scans", ())
        ]

    def _restore(self, learner: Learner) -> None:
        """Put what was learned so far into a learner."""
        if self.document:
            tensors = self.store.tensors("training")
            learner.state = TrainingState.from_files(self.store.document("training"), tensors, learner.ctx)

    def check_parent(self) -> None:
        """Refuse to go on where another version is in use than when the session began.

        Raises:
            ModelError: It is.
        """
        if self.document and has_moved_on(self.document, self.folder):
            parent, model = self.document["parent"], str(self.folder.path)
            raise ModelError(
                f"The correction session began from version {parent}, and version {self.folder.current} is in use now.",
                "Kept, they would silently undo what has changed since.",
                Hint(
                    "Go back with ",
                    CommandRef("rollback", {"model": model, "version": parent}),
                    ", or discard it with ",
                    CommandRef("discard_corrections", {"model": model}),
                    ".",
                ),
            )

    def _refuse_judges(self, source: ScanSource, history: History) -> None:
        """Refuse a scan that judges older structures, or that the model was told to forget."""
        found = fingerprint(source.paths)
        if found in history.forgotten:
            raise DataError(f"This model was told to forget the scan {source.name}.", todo="Choose another scan.")
        if found in history.held_out:
            raise DataError(
                f"The scan {source.name} is held out: it judges whether older structures are kept.",
                "Learned from, it could no longer show that.",
                "Choose another scan, or correct this one with propagate-only.",
            )
