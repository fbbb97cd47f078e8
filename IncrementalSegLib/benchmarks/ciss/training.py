"""One stage: teach, or go on where a killed process was, and score everything that is known by then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from IncrementalSegLib.benchmarks.circumstances import Stopwatch, describe
from IncrementalSegLib.benchmarks.ciss.protocol import Protocol
from IncrementalSegLib.engine.learn import learn, resume
from IncrementalSegLib.engine.progress import Progress
from IncrementalSegLib.engine.scores.evaluate import evaluate
from IncrementalSegLib.engine.step.result import StepResult
from IncrementalSegLib.sampling.cases import Dataset
from IncrementalSegLib.store.unfinished import Unfinished
from IncrementalSegLib.store.versions import create_or_open
from IncrementalSegLib.types import Json


@dataclass(frozen=True)
class Trained:
    """A model, and what it is asked for at the end of a chain."""

    model: Path
    structures: tuple[str, ...]


@dataclass(frozen=True)
class Training:
    """How a stage is done.

    Attributes:
        protocol: Network, preset and schedule.
        test: Scans that measure.
        seed: Decides everything random.
        device: ``auto``, ``cpu`` or ``cuda``.
        progress: Receives progress.
        label: What is being done, for people.
    """

    protocol: Protocol
    test: Dataset
    seed: int
    device: str
    progress: Progress
    label: str

    def stage(
        self,
        model: Path,
        version: int,
        scans: Dataset,
        taught: Sequence[str],
        method: str,
        options: Json,
        known: Sequence[str],
    ) -> Json:
        """Do one stage.

        Args:
            model: The model's folder.
            version: Number of the version that the stage makes.
            scans: Scans that teach; only what is taught is read from their labels.
            taught: Structures to teach.
            method: Registered name.
            options: Options of the method.
            known: Structures to score afterwards.

        Returns:
            ``{"taught", "scores": {structure: scores}, "step"}``.
        """
        watch = Stopwatch(self.progress, self.label)
        step, resumed = self._step(model, version, scans, taught, method, options, watch)
        found = evaluate(model, self.test, structures=", ".join(known), device=self.device, progress=watch)
        return {
            "taught": list(taught),
            "scores": {name: found.structures[name].to_json() for name in known},
            "step": describe(step, watch) | {"resumed": resumed},
        }

    def _step(
        self,
        model: Path,
        version: int,
        scans: Dataset,
        taught: Sequence[str],
        method: str,
        options: Json,
        watch: Stopwatch,
    ) -> tuple[StepResult, bool]:
        """Return the step, and whether only its end was done here, so that its durations are too short."""
        folder = create_or_open(model)
        if folder.current == version:  # killed between the step and its scores
            return StepResult.of(folder, version), True
        if Unfinished(model).exists:
            return resume(model, data=scans, device=self.device, progress=watch), True
        protocol = self.protocol
        step = learn(
            model,
            scans,
            ", ".join(taught),
            method=method,
            options=options,
            network=protocol.network,
            preset=protocol.preset,
            steps=protocol.steps,
            exemplars="none",
            seed=self.seed,
            accept="always",  # also what forgets shall be measured
            device=self.device,
            progress=watch,
        )
        return step, False
