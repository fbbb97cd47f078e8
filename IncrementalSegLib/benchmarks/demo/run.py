"""The demonstration: teach the humerus, then the scapula from other people's scans, and see what each method kept.

Everything is made on the spot: people, scanners, models, numbers and the sentences about them.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from IncrementalSegLib.benchmarks.demo.report import (
    METHODS,
    NEW,
    OLD,
    SCANNERS,
    Curves,
    Facts,
    Outcome,
    View,
    changes,
    demo_report,
)
from IncrementalSegLib.benchmarks.demo.watcher import Watcher, watched
from IncrementalSegLib.engine.learn import learn
from IncrementalSegLib.engine.progress import Progress, silent
from IncrementalSegLib.engine.runtime import Runtime, start
from IncrementalSegLib.engine.scores.evaluate import evaluate
from IncrementalSegLib.engine.step.request import resolve
from IncrementalSegLib.engine.step.settings import StepSettings
from IncrementalSegLib.engine.step.step import Step
from IncrementalSegLib.errors import DataError
from IncrementalSegLib.evaluation.metrics import StructureScore
from IncrementalSegLib.evaluation.report import verdict, write_report
from IncrementalSegLib.inference.prediction import Prediction
from IncrementalSegLib.progress import phrase
from IncrementalSegLib.sampling.cases import Case, Dataset
from IncrementalSegLib.sampling.datasets import open_data
from IncrementalSegLib.sampling.phantom import write_phantom_dataset
from IncrementalSegLib.store.atomic import plain_errors, write_json
from IncrementalSegLib.store.versions import open_model
from IncrementalSegLib.types import Json, StructureId
from IncrementalSegLib.volumes.volume import Volume

MARKER = ".incrementalseg-demo.json"
"""Says that a folder was made by the demonstration and may be replaced by it."""

_MADE = ("scans", "models", "report.html", "report-*.png")


@dataclass(frozen=True)
class Scale:
    """How large the demonstration is.

    Attributes:
        people: People who teach a structure.
        test_people: People per scanner on whom the models are scored.
        size: Samples of a scan along D, H, W.
        steps: Optimiser steps of each step.
        looks: How often the curves look at the models while they learn.
    """

    people: int = 8
    test_people: int = 6
    size: tuple[int, int, int] = (16, 80, 80)
    steps: int = 240
    looks: int = 12

    @property
    def look_after(self) -> frozenset[int]:
        """Optimiser steps after which the curves look: densely at first, because forgetting is quick."""
        return frozenset(round(self.steps * (look / self.looks) ** 2) for look in range(1, self.looks + 1)) - {0}


def run_demo(
    output: str | Path,
    *,
    steps: int | None = None,
    seed: int = 0,
    device: str = "auto",
    progress: Progress = silent,
    scale: Scale | None = None,
) -> Json:
    """Teach two structures one after the other with four methods, and write a report of what became of them.

    Args:
        output: Folder for scans, models and the report. What an earlier demonstration left there is replaced.
        steps: Optimiser steps of each step; by default what takes minutes on a CPU.
        seed: Decides people, noise and training.
        device: ``auto``, ``cpu`` or ``cuda``.
        progress: Receives progress.
        scale: How large the demonstration is.

    Returns:
        ``{"rows": [{"method", "structure", "before", "after"}], "verdict", "report", "seconds"}``; ``before`` and
        ``after`` hold ``dice`` and ``assd_mm``, and ``before`` is ``None`` for the structure that was not known yet.

    Raises:
        DataError: The folder holds something else, or cannot be written.
        IncrementalSegError: The device cannot be used.
    """
    began = time.monotonic()
    folder, size = Path(output), scale or Scale()
    size = replace(size, steps=steps or size.steps)
    runtime = start(device)
    claim(folder)
    demo = _Demo(folder, size, seed, device, runtime, progress)
    outcomes = demo.run()
    found = changes(outcomes, np.random.default_rng(seed))
    seconds = time.monotonic() - began
    progress("Drawing the report", 0.0)
    facts = Facts(size.people, size.test_people, size.steps, seed, runtime.name, seconds)
    report = write_report(demo_report(outcomes, found, facts), folder)
    rows = [
        {
            "method": change.method,
            "structure": change.structure,
            "before": _numbers(change.before),
            "after": _numbers(change.after),
        }
        for change in found
    ]
    return {
        "rows": rows,
        "verdict": "\n".join(verdict(found)),
        "report": str(report),
        "seconds": round(time.monotonic() - began, 1),
    }


def claim(folder: Path) -> None:
    """Make the folder of a demonstration, or empty the one that an earlier demonstration made.

    Only what demonstrations make is removed; other files in such a folder stay.

    Raises:
        DataError: The folder holds something else, is a file, or cannot be written.
    """
    if folder.exists() and not folder.is_dir():
        raise DataError(f"{folder} is a file.", todo="Name a folder that does not exist yet.")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / MARKER).is_file():
        raise DataError(
            f"The folder {folder} is not empty and was not made by the demonstration.",
            "The demonstration overwrites nothing of yours.",
            "Name another folder with --output.",
        )
    with plain_errors(folder, error=DataError):
        for path in [path for pattern in _MADE for path in folder.glob(pattern)]:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
        folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / MARKER, {"made_by": "incrementalseg demo", "replaces": list(_MADE)})


@dataclass
class _Demo:
    folder: Path
    scale: Scale
    seed: int
    device: str
    runtime: Runtime
    progress: Progress
    scans: dict[str, Path] = field(default_factory=dict)

    def run(self) -> dict[str, Outcome]:
        """Return what became of the structures, by method."""
        test = self._write_scans()
        first = self.folder / "models" / OLD
        learn(
            first, self.scans[OLD], OLD, preset="quick", steps=self.scale.steps, seed=self.seed, device=self.device,
            progress=self._part(0, OLD),
        )  # fmt: skip
        before, views_before = self._score(first, test, OLD)
        outcomes = {}
        for number, method in enumerate(METHODS, 1):
            model = self.folder / "models" / method
            with plain_errors(model, error=DataError):
                shutil.copytree(first, model)
            curve = self._teach(model, method, test, self._part(number, f"{NEW}, {method}"))
            after, views = self._score(model, test, f"{OLD}, {NEW}")
            outcomes[method] = Outcome(before, after, curve, views_before, views)
        return outcomes

    def _write_scans(self) -> Dataset:
        """Write what teaches each structure, and return the test cases: other people, everything outlined."""
        self.progress("Making scans", 0.0)
        first, second = SCANNERS
        plan = {
            OLD: (self.scale.people, first, (OLD,)),
            NEW: (self.scale.people, second, (NEW,)),
            f"test-{first}": (self.scale.test_people, first, (OLD, NEW)),
            f"test-{second}": (self.scale.test_people, second, (OLD, NEW)),
        }
        for number, (name, (people, scanner, outlined)) in enumerate(plan.items()):
            place = self.folder / "scans" / name
            self.scans[name] = write_phantom_dataset(
                place, people, scanner, outlined, 10 * self.seed + number, self.scale.size
            )
            self.progress("Making scans", (number + 1) / len(plan))
        both = [open_data(self.scans[f"test-{scanner}"]) for scanner in SCANNERS]
        return replace(both[0], cases=tuple(case for data in both for case in data.cases))

    def _teach(self, model: Path, method: str, test: Dataset, progress: Progress) -> Curves:
        """Teach the new structure, and return the Dice of both on test people while it was being learned."""
        request = resolve(model, self.scans[NEW], NEW, method=method)
        watcher = Watcher(request, self.runtime, self._shown(test), self.scale.look_after)
        Step(
            replace(request, method=watched(request.method, watcher)),
            self.runtime,
            StepSettings(
                preset="quick",
                steps=self.scale.steps,
                exemplars="none",  # no third step follows, and choosing takes as long as learning
                seed=self.seed,
                accept="always",  # also what forgets shall be shown
            ),
            progress=progress,
        ).run()
        return watcher.curves

    def _score(
        self, model: Path, test: Dataset, structures: str
    ) -> tuple[Mapping[str, StructureScore], dict[tuple[str, str], View]]:
        """Score a model on the test people and keep the first of each scanner to be looked at."""
        shown = {case.id: scanner for case, scanner in zip(self._shown(test), SCANNERS, strict=True)}
        names = {item.id: item.name for item in open_model(model).record().structures}
        views: dict[tuple[str, str], View] = {}

        def watch(
            case: Case, volume: Volume, truth: dict[StructureId, NDArray[np.bool_]], prediction: Prediction
        ) -> None:
            if case.id in shown:
                for item, mask in truth.items():
                    views[names[item], shown[case.id]] = View(case.id, volume, mask, prediction.mask[item])

        scores = evaluate(model, test, structures=structures, device=self.device, watch=watch).structures
        return scores, views

    def _shown(self, test: Dataset) -> list[Case]:
        """Return the first test person of each scanner: nobody chose the pictures."""
        return [test.cases[number * self.scale.test_people] for number in range(len(SCANNERS))]

    def _part(self, number: int, label: str) -> Progress:
        def report(phase: str, fraction: float, numbers: Mapping[str, float] | None = None) -> None:
            self.progress(f"{number + 1}/{len(METHODS) + 1} {label}: {phrase(phase)}", fraction, numbers)

        return report


def _numbers(score: StructureScore | None) -> Json | None:
    return None if score is None else {"dice": score.dice, "assd_mm": score.assd_mm}
