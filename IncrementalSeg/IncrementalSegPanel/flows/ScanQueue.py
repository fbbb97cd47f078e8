"""The scans of the scene, to be corrected one after the other; the most worthwhile first where that was asked for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from IncrementalSegLib.errors import WireError
from IncrementalSegLib.types import Json
from IncrementalSegLib.wire import events
from IncrementalSegPanel.Failure import Failure, Remedy
from IncrementalSegPanel.flows.Activity import Activity
from IncrementalSegPanel.flows.Context import Context
from IncrementalSegPanel.Folders import clear
from IncrementalSegPanel.Translation import _

_WRITTEN = 0.2
"""Share of the work on a scan that is done when it is written."""


@dataclass(frozen=True)
class QueuedScan:
    """A scan of the scene.

    Attributes:
        volume: The scan.
        name: Its name.
        priority: By which scans are ordered; ``None`` while unknown.
        reason: Of its priority, or why it has none.
        done: Whether a person has accepted its outlines.
    """

    volume: Any
    name: str
    priority: float | None = None
    reason: str = ""
    done: bool = False

    @property
    def worth(self) -> str:
        """Its place in the order, in a word or a number."""
        if self.done:
            return _("accepted")
        if self.priority is None:
            return _("unknown") if self.reason else "–"
        return _("unlike") if self.priority < 0 else f"{self.priority:.2f}"


class ScanQueue(Activity):
    """A list of scans.

    Args:
        context: Whose scene it is.

    Attributes:
        rows: The scans, in the order in which they are offered.
    """

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.rows: tuple[QueuedScan, ...] = ()
        self._folder: Path | None = None
        self._count = 0
        self._left: list[Any] = []

    def look(self) -> None:
        """List the scans of the scene; what is known of them stays."""
        known = {id(row.volume): row for row in self.rows}
        found = [(volume, self._context.bridge.nameOf(volume)) for volume in self._context.bridge.scans()]
        self._sort([replace(known.get(id(volume), QueuedScan(volume, "")), name=name) for volume, name in found])

    def forget(self) -> None:
        """Forget which scans are done, and how worthwhile they are."""
        self.rows = ()

    def finish(self, volume: Any) -> None:
        """Note that a person has accepted the outlines of a scan."""
        self._change(volume, done=True)

    def next(self, volume: Any) -> Any:
        """Return the scan to be corrected after another one; ``None`` where all are done."""
        return next((row.volume for row in self.rows if not row.done and row.volume is not volume), None)

    def rank(self) -> None:
        """Ask for the order in which scans are best corrected."""
        if self.phase:
            return
        self._context.dismiss()
        self.look()
        try:
            self._folder = self._context.folders.newWork("suggest-")
        except OSError as error:
            self._stop(error)
            return
        self._left = [row.volume for row in self.rows if not row.done]
        self._count = len(self._left)
        self._judge()

    def _judge(self) -> None:
        """Judge the first of the scans that are left, and then the others."""
        if not self._left:
            self._stop()
            return
        assert self._folder is not None
        place, folder = self._count - len(self._left), self._folder / str(len(self._left))
        begin, written, end = ((place + share) / self._count for share in (0.0, _WRITTEN, 1.0))

        def ask() -> None:
            arguments = {"model": str(self._context.folder), "scans": str(export.result)}
            self._ask("suggest", arguments, (written, end), told)

        def told(result: Json) -> None:
            found = result["scans"][0]
            self._change(self._left.pop(0), priority=found["priority"], reason=found["reason"])
            self._judge()

        try:
            export = self._context.bridge.exportVolume(self._left[0], folder, self._context.defer)
        except Exception as error:  # whatever it is, the other scans can be judged
            self._stop(error)
        else:
            self._follow(export, _("Preparing the scan"), (begin, written), ask)

    def _change(self, volume: Any, **changes: Any) -> None:
        self._sort([replace(row, **changes) if row.volume is volume else row for row in self.rows])

    def _sort(self, rows: list[QueuedScan]) -> None:
        self.rows = tuple(sorted(rows, key=lambda row: (row.done, row.priority is None, -(row.priority or 0.0))))
        self._context.changed()

    def _stop(self, error: events.Failed | BaseException | None = None) -> None:
        """End, unless a scan alone could not be judged: then the next one is."""
        lost = isinstance(error, events.Failed) and error.kind == WireError.__name__
        if error is not None and self._left and not lost:
            failure = Failure.of(error)
            self._change(self._left.pop(0), priority=None, reason=f"{failure.what} {failure.why}".strip())
            self._judge()
            return
        self._left = []
        if self._folder is not None:
            clear(self._folder, self._context.defer)
        self._say("")
        if error is not None:
            self._context.fail(error, Remedy(_("Try again"), self.rank))
