"""Provenance of a result: schedule, curve and durations of its steps; machine, libraries and commit."""

from __future__ import annotations

import dataclasses
import platform
import shutil
import subprocess
from pathlib import Path

import torch

from IncrementalSegLib.engine.runtime import start
from IncrementalSegLib.engine.step.result import StepResult
from IncrementalSegLib.store.record import library_versions, now
from IncrementalSegLib.types import DeviceName, Json
from Testing.benchmarks.timing import Stopwatch

_SCHEDULE = ("batch", "learning_rate", "planned_steps", "optimiser_steps", "best_step", "device", "precision")


def describe(step: StepResult, watch: Stopwatch, *, resumed: bool) -> Json:
    """Return how a step went; of a resumed one the durations are too short."""
    asked = step.record.step
    text = {entry["source"] for entry in step.record.architecture.get("output", {}).values()}
    return {
        "made_by": asked["method"],
        "options": asked["options"],
        "schedule": {name: asked[name] for name in _SCHEDULE},
        "training": [case["case"] for case in asked["training"]],
        "held_out": [case["case"] for case in asked["held_out"]],
        "curve": dataclasses.asdict(step.curve),
        "seconds": watch.to_json(),
        "resumed": resumed,
        **({"text_embeddings": sorted(text)} if text else {}),
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
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    return found.stdout.strip() or None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
