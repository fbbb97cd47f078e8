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

from IncrementalSegLib.demo.report import (
    METHODS,
    NEW,
    OLD,
    SCANNERS,
    MethodResult,
    Points,
    Scale,
    changes,
    demo_report,
)
from IncrementalSegLib.engine.documents import plan_of
from IncrementalSegLib.engine.learn import learn
from IncrementalSegLib.engine.runtime import start
from IncrementalSegLib.engine.scores.evaluate import evaluate
from IncrementalSegLib.engine.scores.views import view
from IncrementalSegLib.errors import DataError
from IncrementalSegLib.evaluation.metrics import StructureScore
from IncrementalSegLib.files import plain_errors, write_json
from IncrementalSegLib.inference.prediction import Prediction
from IncrementalSegLib.progress import Progress, duration, phrase, silent
from IncrementalSegLib.reports.changes import verdict
from IncrementalSegLib.reports.page import write_report
from IncrementalSegLib.reports.slices import SliceRow, whole_scan
from IncrementalSegLib.sampling.cases import Case, Dataset
from IncrementalSegLib.sampling.datasets import open_data
from IncrementalSegLib.sampling.phantom import write_phantom_dataset
from IncrementalSegLib.store.record import library_versions
from IncrementalSegLib.store.versions import open_model
from IncrementalSegLib.types import DeviceName, Json, StructureId
from IncrementalSegLib.volumes.volume import Volume

MARKER = ".incrementalseg-demo.json"
"""Says that a folder was made by the demonstration and may be replaced by it."""

_MADE = ("scans", "models", "report.html")


def run_demo(
    output: str | Path,
    *,
    steps: int | None = None,
    seed: int = 0,
    device: DeviceName = "auto",
    progress: Progress = silent,
    scale: Scale | None = None,
) -> Json:
    """Teach two structures one after the other with four methods, and write a report on both.

    Args:
        output: Folder for scans, models and the report. What an earlier demonstration left there is replaced.
        steps: Optimiser steps of each step; by default what takes minutes on a CPU.
        seed: Decides people, noise and training.
        device: ``auto``, ``cpu`` or ``cuda``.
        progress: Receives progress.
        scale: Size of the demonstration.

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
    outcomes = _Demo(folder, size, seed, device, progress).run()
    found = changes(outcomes, np.random.default_rng(seed))
    progress("Drawing the report", 0.0)
    facts = (
        ("Device", runtime.name),
        ("Duration", duration(time.monotonic() - began)),
        ("Optimiser steps", f"{size.steps} per step"),
        ("Seed", str(seed)),
        *((name, str(version)) for name, version in library_versions().items() if name in ("torch", "monai")),
    )
    report = write_report(demo_report(outcomes, found, size, facts), folder)
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
            "Name another folder.",
        )
    with plain_errors(folder, "prepare", DataError):
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
    device: DeviceName
    progress: Progress
    scans: dict[str, Path] = field(default_factory=dict)

    def run(self) -> dict[str, MethodResult]:
        """Return the scores of the structures, by method."""
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
            change, dice = self._teach(model, method, self._part(number, f"{NEW}, {method}"))
            after, views = self._score(model, test, f"{OLD}, {NEW}")
            outcomes[method] = MethodResult(
                before=before, after=after, change=change, dice=dice, views_before=views_before, views=views
            )
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
                place, people, scanner=scanner, structures=outlined, seed=10 * self.seed + number, size=self.scale.size
            )
            self.progress("Making scans", (number + 1) / len(plan))
        both = [open_data(self.scans[f"test-{scanner}"]) for scanner in SCANNERS]
        return replace(both[0], cases=tuple(case for data in both for case in data.cases))

    def _teach(self, model: Path, method: str, progress: Progress) -> tuple[Points, Points]:
        """Teach the new structure; return the change of the old one and the Dice of the new one meanwhile."""
        old: Points = [(0, 0.0)]
        new: Points = []

        def on_validation(
            fraction: float,
            dice: Mapping[str, float],
            worst: tuple[str, float] | None,
            pictures: Mapping[str, tuple[str, str]],
        ) -> None:
            step = round(fraction * self.scale.steps)
            new.extend((step, value) for value in dice.values())
            if worst is not None:
                old.append((step, worst[1]))

        learn(
            model,
            self.scans[NEW],
            NEW,
            method=method,
            preset="quick",
            steps=self.scale.steps,
            exemplars="none",  # no third step follows, and choosing takes as long as learning
            seed=self.seed,
            accept="always",  # forgetting is shown, not prevented
            device=self.device,
            progress=progress,
            on_validation=on_validation,
        )
        return old, new

    def _score(
        self, model: Path, test: Dataset, structures: str
    ) -> tuple[Mapping[str, StructureScore], dict[tuple[str, str], SliceRow]]:
        """Score a model on the test people, with a picture of the first of each scanner: nobody chose them."""
        shown = {test.cases[number * self.scale.test_people].id: scanner for number, scanner in enumerate(SCANNERS)}
        record = open_model(model).record()
        plan = plan_of(record)
        views: dict[tuple[str, str], SliceRow] = {}

        def watch(case: Case, volume: Volume, truth: dict[StructureId, NDArray[np.bool_]], found: Prediction) -> None:
            if case.id in shown:
                for item, mask in truth.items():
                    key = record.structures.by_id(item).name, shown[case.id]
                    views[key] = view(case.id, volume, mask, [found.mask[item]], plan)

        scores = evaluate(model, test, structures=structures, device=self.device, watch=watch).structures
        dice = {(name, score.case): score.dice for name, found in scores.items() for score in found.scores}
        for (name, scanner), row in views.items():
            views[name, scanner] = replace(row, notes=(whole_scan(dice[name, row.title]),))
        return scores, views

    def _part(self, number: int, label: str) -> Progress:
        def report(phase: str, fraction: float, numbers: Mapping[str, float] | None = None) -> None:
            self.progress(f"{number + 1}/{len(METHODS) + 1} {label}: {phrase(phase)}", fraction, numbers)

        return report


def _numbers(score: StructureScore | None) -> Json | None:
    return None if score is None else {"dice": score.dice, "assd_mm": score.assd_mm}
