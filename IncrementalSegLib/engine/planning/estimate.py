"""The cost of a step before it begins: time, memory and disk, from a dry run on this device."""

from __future__ import annotations

from dataclasses import dataclass, field

from IncrementalSegLib.engine.planning.dry_run import DryRun
from IncrementalSegLib.engine.runtime import start
from IncrementalSegLib.engine.settings import StepCall
from IncrementalSegLib.engine.step.request import resolve
from IncrementalSegLib.engine.step.setup import StepSetup
from IncrementalSegLib.options import called_with
from IncrementalSegLib.progress import EstimatePart
from IncrementalSegLib.sampling.cases import Notes
from IncrementalSegLib.types import Json
from IncrementalSegLib.volumes.notes import counted


@dataclass(frozen=True)
class Estimate:
    """The deal before the start.

    Attributes:
        seconds: Part of the step -> seconds; training to the end of the schedule, so at most.
        steps: Optimiser steps of the full schedule.
        memory: Peak in bytes, of the GPU or, on a CPU, of the whole process; ``None``: not known here.
        disk: Bytes of the version to be written.
        device: Name of the device.
        method: Name of the method.
        why: Reasons for the method, where nobody named one.
        unjudged: Names of structures of which no later step could measure what is kept.
        notes: Case -> what a person should know of it; of many cases an evenly spread sample is read.
    """

    seconds: dict[EstimatePart, float]
    steps: int
    memory: int | None
    disk: int
    device: str
    method: str
    why: tuple[str, ...] = ()
    unjudged: tuple[str, ...] = ()
    notes: Notes = field(default_factory=dict)

    @property
    def total(self) -> float:
        """Seconds of the whole step."""
        return sum(self.seconds.values())

    def to_json(self) -> Json:
        """Return the object that ``estimate --json`` prints."""
        return {
            "minutes": round(self.total / 60, 2),
            "seconds": {name: round(value, 2) for name, value in self.seconds.items()},
            "steps": self.steps,
            "memory_mb": None if self.memory is None else round(self.memory / 1e6),
            "disk_mb": round(self.disk / 1e6, 1),
            "device": self.device,
            "method": self.method,
            "why": list(self.why),
            "unjudged": list(self.unjudged),
            "notes": counted(self.notes),
        }


@called_with(StepCall)
def estimate(call: StepCall) -> Estimate:
    """Say what a step would take; the model is not touched.

    Every part of the step is done on few cases and scaled: reading, optimiser steps after a warm-up, scoring,
    checkpoints, remembering, the gate and saving.  The arguments are those of :func:`learn`.

    Returns:
        Seconds, memory and disk.

    Raises:
        IncrementalSegError: The step could not be done; the same as for :func:`learn`.

    Example:
        >>> estimate("model-to-be", "scans", "humerus", steps=1).steps
        1
    """
    runtime = start(call.device)
    request = resolve(call.model, call.data, call.structures, call, progress=call.progress)
    setup = StepSetup.of(request, call, runtime, call.progress)
    found = DryRun(setup).measure()
    return Estimate(
        seconds=found.seconds,
        steps=found.steps,
        memory=found.memory,
        disk=found.disk,
        device=runtime.name,
        method=request.method.registered_name,
        why=request.why,
        unjudged=found.unjudged,
        notes=setup.reader.notes,
    )
