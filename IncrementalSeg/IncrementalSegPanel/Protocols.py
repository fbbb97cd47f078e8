"""The surroundings that flows ask for; Slicer brings the real ones, a test may bring others."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from IncrementalSegLib.structures import Structure
from IncrementalSegLib.types import Json
from IncrementalSegLib.wire.client import Job
from IncrementalSegLib.wire.events import Event
from IncrementalSegPanel.environment.Machine import Gpu, Machine

Defer = Callable[[Callable[[], None]], None]
"""Does something soon, when the main thread has answered everything else."""


class WorkerProtocol(Protocol):
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


class InstallerProtocol(Protocol):
    """Installation of the worker's requirements; see :class:`IncrementalSegPanel.environment.Installer.Installer`.

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


class Environment(Protocol):
    """Knows whether the worker can compute; see :class:`IncrementalSegPanel.flows.Installing.Installing`."""

    @property
    def obstacle(self) -> str:
        """Why it cannot, one sentence; empty where it can."""

    def open(self) -> None:
        """Show what is missing."""


class Work(Protocol):
    """Files that are being written or read; see :class:`IncrementalSegPanel.scene.Exports.Export`."""

    progress: float
    result: Any
    error: Exception | None

    @property
    def path(self) -> Path | None:
        """The written files; ``None`` until they are complete."""

    @property
    def done(self) -> bool:
        """Whether it has ended, successfully or not."""

    def listen(self, listener: Callable[[], None]) -> None:
        """Call the listener after each piece, and now."""

    def cancel(self) -> None:
        """End it, and remove what it has begun."""


class StrokeBridge(Protocol):
    """Strokes on scans; see :class:`IncrementalSegPanel.scene.Strokes.Strokes`."""

    def hide(self, but: Any = None) -> None:
        """Hide all strokes, except for those of one node."""

    def export(self, node: Any, volumeNode: Any, path: Path, defer: Defer) -> Work:
        """Write strokes for the worker."""

    def editorNode(self) -> Any:
        """Return the parameters of the editor of strokes."""


class Bridge(Protocol):
    """The only writer to the scene; see :class:`IncrementalSegPanel.scene.SceneBridge.SceneBridge`.

    Nodes and outlines of the scene are of no type here: flows only hand them on.
    """

    strokes: StrokeBridge

    def shownVolume(self) -> Any:
        """Return the scan that the slice views show, or ``None``."""

    def scans(self) -> Sequence[Any]:
        """Return the scans of the scene."""

    def nameOf(self, volumeNode: Any) -> str:
        """Return the name of a scan."""

    def sceneBusy(self) -> bool:
        """Return whether the scene is being loaded or closed."""

    def showScan(self, volumeNode: Any) -> None:
        """Show a scan in the slice views."""

    def openStrokes(self, volumeNode: Any, structures: Iterable[Structure], defer: Defer) -> Work:
        """Show a scan and the strokes on it."""

    def exportVolume(self, volumeNode: Any, folder: Path, defer: Defer) -> Work:
        """Give the worker a scan to read."""

    def readSegmentation(self, path: Path, defer: Defer, volumeNode: Any = None) -> Work:
        """Read what the worker outlined."""

    def readMap(self, path: Path, defer: Defer) -> Work:
        """Read a map that the worker wrote."""

    def showSegmentation(self, source: Any, volumeNode: Any, structures: Iterable[Structure]) -> Any:
        """Show what was read over its scan, and return the segmentation."""

    def undoSegmentation(self, defer: Defer) -> Work:
        """Take back what was shown last; ``taken`` and ``kept`` of the result say what came of it."""

    def showMap(self, source: Any, volumeNode: Any, title: str) -> Any:
        """Show a map over its scan."""

    def hideMap(self) -> None:
        """Remove the map."""

    def candidates(self, structureName: str | None = None) -> Sequence[Any]:
        """Return the outlines of the scene that could teach."""

    def exportExamples(self, examples: Sequence[Any], structureName: str, folder: Path, defer: Defer) -> Work:
        """Write outlines as a data set."""

    def thumbnail(self, example: Any, path: Path) -> None:
        """Draw the slice in which an outline is largest."""

    def spotPicture(self, volumeNode: Any, ras: Sequence[float], path: Path) -> None:
        """Draw a place of a scan."""

    def openInSegmentEditor(self, segmentationNode: Any, segmentId: str, volumeNode: Any = None) -> None:
        """Open the Segment Editor on a segment."""

    def jumpTo(self, volumeNode: Any, ras: Sequence[float]) -> None:
        """Show a place in all slice views."""

    def volumeOf(self, case: str) -> Any:
        """Return the scan that an exported case came from, or ``None``."""

    def openScan(self, path: Path) -> Any:
        """Return the scan of a file, loaded where it is not in the scene."""

    def watch(self, changed: Callable[[], None]) -> None:
        """Tell whenever the slice views show other scans."""

    def unwatch(self) -> None:
        """Follow the slice views no longer."""

    def endScene(self) -> None:
        """Let go of a scene that is being closed."""


class Settings(Protocol):
    """Settings that last from one start of Slicer to the next; ``QSettings`` fits."""

    def value(self, key: str, default: Any = None) -> Any:
        """Return what was remembered."""

    def setValue(self, key: str, value: Any) -> None:
        """Remember."""
