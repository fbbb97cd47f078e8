"""What the session asks of its surroundings; Slicer brings the real ones, a test may bring others."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Protocol

from IncrementalSegLib.jobs.client import Job
from IncrementalSegLib.jobs.events import Event
from IncrementalSegLib.types import Json
from IncrementalSegPanel.environment.Machine import Gpu, Machine
from IncrementalSegPanel.Names import folderName

Later = Callable[[Callable[[], None]], None]
"""Does something soon, when the main thread has answered everything else."""


class Worker(Protocol):
    """The process that computes; see :class:`IncrementalSegPanel.Worker.Worker`."""

    def submit(
        self,
        verb: str,
        arguments: Json,
        listener: Callable[[Event], None],
        expected: Mapping[str, float] | None = None,
    ) -> Job:
        """Ask for something; the listener receives the events of this job on the main thread."""

    def cancel(self, job: Job, wish: str) -> None:
        """End a job early: ``keep``, ``pause`` or ``discard``."""

    def lastLines(self) -> str:
        """Return the last lines of the worker's log."""


class Installer(Protocol):
    """What makes the worker able to run; see :class:`IncrementalSegPanel.environment.Installer.Installer`.

    Every ``done`` is called on the main thread; statuses are those of processes, 0 for success.
    """

    def machine(self) -> Machine:
        """Look at this computer."""

    def findGpus(self, done: Callable[[tuple[Gpu, ...]], None]) -> None:
        """Ask the NVIDIA driver for its cards."""

    def run(self, module: str, arguments: list[str], log: Callable[[str], None], done: Callable[[int], None]) -> None:
        """Run a module of Slicer's Python that installs."""

    def look(self, modules: list[str], done: Callable[[dict[str, str], str], None]) -> None:
        """Look in a child process which modules can be imported, and why others cannot."""

    def discard(self, names: Container[str]) -> list[str]:
        """Remove what an installation that was ended half-way has left of these packages."""

    def cancel(self) -> None:
        """End what is being run."""

    def check(self, done: Callable[[int, str, str], None]) -> None:
        """Let a child process import everything and compute something."""

    def restart(self) -> None:
        """Start Slicer again."""


class Settings(Protocol):
    """What is remembered between two starts of Slicer; ``QSettings`` fits."""

    def value(self, key: str, default: Any = None) -> Any:
        """Return what was remembered."""

    def setValue(self, key: str, value: Any) -> None:
        """Remember."""


@dataclass(frozen=True)
class Places:
    """Folders.

    Attributes:
        models: Where new models, and the scans that taught them, are kept.
        temporary: For files of this run of Slicer; emptied when it ends.
    """

    models: Path
    temporary: Path

    def newScans(self, model: Path, structure: str) -> Path:
        """Return a folder, not there yet, for the scans that teach a model a structure."""
        wanted = self.models / f"{model.name} scans" / f"{folderName(structure)} {date.today().isoformat()}"
        number, folder = 1, wanted
        while folder.exists():
            number += 1
            folder = wanted.with_name(f"{wanted.name} {number}")
        return folder
