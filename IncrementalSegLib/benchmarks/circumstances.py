"""What a result says beside its scores: how long each phase took, on which machine, with which code."""

from __future__ import annotations

import dataclasses
import platform
import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import torch

from IncrementalSegLib.engine.progress import Progress
from IncrementalSegLib.engine.runtime import start
from IncrementalSegLib.engine.step.result import StepResult
from IncrementalSegLib.progress import phrase
from IncrementalSegLib.store.record import library_versions, now
from IncrementalSegLib.types import DeviceName, Json

_SCHEDULE = ("batch", "learning_rate", "planned_steps", "optimiser_steps", "best_step", "device", "precision")


class Stopwatch:
    """Pass progress on under a label and measure the phases.

    Args:
        progress: Receives progress.
        label: What is being done; set before each phase.

    Attributes:
        seconds: Phase -> seconds.
    """

    def __init__(self, progress: Progress, label: str) -> None:
        self.progress, self.label = progress, label
        self.seconds: dict[str, float] = {}
        self._last = time.monotonic()

    def __call__(self, phase: str, fraction: float, numbers: Mapping[str, float] | None = None) -> None:
        """Count the time since the last call for this phase."""
        present = time.monotonic()
        words = phrase(phase)
        self.seconds[words] = self.seconds.get(words, 0.0) + present - self._last
        self._last = present
        self.progress(f"{self.label}: {words}", fraction, numbers)

    def to_json(self) -> Json:
        """Return the phases, rounded, and their sum."""
        phases = {phase: round(seconds, 2) for phase, seconds in self.seconds.items()}
        return {"total": round(sum(self.seconds.values()), 2), "phases": phases}


def labelled(progress: Progress, label: str) -> Progress:
    """Return a progress that says before each phase what is being done."""

    def report(phase: str, fraction: float, numbers: Mapping[str, float] | None = None) -> None:
        progress(f"{label}: {phrase(phase)}", fraction, numbers)

    return report


def describe(step: StepResult, watch: Stopwatch) -> Json:
    """Return how a step went: method, options, schedule, cases, curve, durations."""
    return {
        "made_by": step.record.step["method"],
        "options": step.record.step["options"],
        "schedule": {name: step.record.step[name] for name in _SCHEDULE},
        "training": [case["case"] for case in step.record.step["training"]],
        "set_aside": [case["case"] for case in step.record.step["set_aside"]],
        "curve": dataclasses.asdict(step.curve),
        "seconds": watch.to_json(),
    }


def environment(device: DeviceName) -> Json:
    """Return the machine, the versions and the commit that a result was made with."""
    runtime = start(device)
    return {
        "finished": now(),
        "commit": _commit(),
        "processor": _processor(),
        "device": runtime.name,
        "precision": runtime.precision,
        "threads": torch.get_num_threads(),
        "libraries": library_versions(),
    }


def _commit() -> str | None:
    git = shutil.which("git")
    if git is None:
        return None
    command = [git, "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=12"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  (no part of it is input)
    return found.stdout.strip() or None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
