"""A map over a scan, read while Slicer stays free: of uncertainty, or of the similarity to a structure."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from IncrementalSegLib.wire import events
from IncrementalSegPanel.documents.Heads import KnownStructure
from IncrementalSegPanel.documents.Outcome import Outcome
from IncrementalSegPanel.flows.Context import Context
from IncrementalSegPanel.flows.WorkerRequest import WorkerRequest
from IncrementalSegPanel.Translation import _
from IncrementalSegPanel.Wording import duration, phaseWords

UNCERTAINTY = "uncertainty"
"""Key of the map of uncertainty; that of a map of similarity is the uuid of its structure."""


class Overlay:
    """Show one map, and hide it again; the worker computes a map of similarity when it is first asked for.

    Attributes:
        shown: Key of the map that is shown or being computed; empty otherwise.
        progressText: What the worker does for it, in words; empty while it does nothing.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self.shown = ""
        self.progressText = ""
        self._reading: Any = None
        self._request = WorkerRequest(context)
        self._computed: dict[Path, Path] = {}

    def showUncertainty(self, path: Path, volume: Any) -> None:
        """Lay a map of uncertainty over its scan."""
        self._begin(UNCERTAINTY)
        self._read(path, volume, _("uncertainty"))

    def showSimilarity(self, outcome: Outcome, head: KnownStructure) -> None:
        """Lay the map of similarity to a structure over the scan of a result."""
        self._begin(head.id)
        folder = outcome.folder / f"similarity-{head.id}"

        def read() -> None:
            self.progressText = ""
            self._read(self._computed[folder], outcome.volume, _("similarity to {name}").format(name=head.name))

        def done(result: dict[str, Any]) -> None:
            self._computed[folder] = Path(result["outputs"][-1])
            read()

        if folder in self._computed:
            read()
            return
        self.progressText = _("Computing the map of similarity")
        arguments = {
            "model": str(self._context.folder),
            "scans": str(outcome.scan),
            "output": str(folder),
            "structures": head.name,
            "similarity": head.name,
            "overwrite": True,  # what an attempt that failed has left
        }
        self._request.ask("segment", arguments, done, self._stop, self._takeEvent)
        self._context.changed()

    def hide(self, then: Callable[[], None] | None = None) -> None:
        """Take the map away; the slice views show what they showed before.

        Args:
            then: Called when the worker computes nothing for it any more.
        """
        shown, self.shown, self.progressText = self.shown, "", ""
        reading, self._reading = self._reading, None
        if reading is not None:
            reading.cancel()
            self._context.bridge.hideMap()
        self._request.giveUp(then)
        if shown:
            self._context.changed()

    def _begin(self, key: str) -> None:
        self.hide()
        self.shown = key

    def _read(self, path: Path, volume: Any, title: str) -> None:
        reading = self._reading = self._context.bridge.readMap(path, self._context.defer)
        reading.listen(lambda: self._heard(reading, volume, title))

    def _heard(self, reading: Any, volume: Any, title: str) -> None:
        if reading is not self._reading or not reading.done:
            return
        try:
            if reading.error is not None:
                raise reading.error
            self._context.bridge.showMap(reading, volume, title)
        except Exception as error:  # whatever it is, a person has to read it
            self._stop(error)
        self._context.changed()

    def _takeEvent(self, event: events.Event) -> None:
        if isinstance(event, events.Progressed):
            words = phaseWords(event.phase)
            self.progressText = words if event.eta is None else _("{} · {} left").format(words, duration(event.eta))

    def _stop(self, error: events.Failed | BaseException) -> None:
        self.shown = self.progressText = ""
        self._reading = None
        self._context.fail(error)
