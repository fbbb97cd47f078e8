"""Segment the chosen scan with the chosen structures of the open model."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from IncrementalSegLib.errors import DataError
from IncrementalSegLib.types import Json
from IncrementalSegLib.wire import events
from IncrementalSegPanel.documents.Heads import KnownStructure
from IncrementalSegPanel.documents.Outcome import Outcome
from IncrementalSegPanel.Failure import Remedy
from IncrementalSegPanel.flows.Activity import Activity
from IncrementalSegPanel.flows.Context import Context
from IncrementalSegPanel.flows.Overlay import Overlay
from IncrementalSegPanel.Folders import clear
from IncrementalSegPanel.Protocols import Work
from IncrementalSegPanel.State import State
from IncrementalSegPanel.Translation import _
from IncrementalSegPanel.Wording import duration

_SECONDS = "IncrementalSeg/secondsOfLastScan"

_WRITTEN, _SEGMENTED = 0.1, 0.9
"""Share that is done when the worker has got the scan, and when it has segmented it."""


@dataclass
class _Run:
    """One segmentation under way."""

    volume: Any
    heads: list[KnownStructure]
    folder: Path
    scan: Path | None = None
    began: float = field(default_factory=time.monotonic)


class Segmenting(Activity):
    """From a scan in the scene to a segmentation in the scene.

    Attributes:
        outcome: What the last run brought, while it is shown.
        overlay: The map over the scan.
    """

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.outcome: Outcome | None = None
        self.overlay = Overlay(context)
        self._run: _Run | None = None
        self._asked = False
        context.onLeaving(State.DONE, self.forget)

    @property
    def volume(self) -> Any:
        """The scan to be segmented, or ``None``: the one that a person has chosen, until then the one that is shown."""
        parameters = self._context.parameters
        if parameters is None:
            return None
        return parameters.inputVolume or self._context.bridge.shownVolume()

    @property
    def heads(self) -> list[KnownStructure]:
        """All structures of the open model."""
        return [] if self._context.model is None else list(self._context.model.heads)

    @property
    def chosen(self) -> list[KnownStructure]:
        """The structures to be segmented; one that was learned since the choice is chosen."""
        parameters = self._context.parameters
        left = set() if parameters is None else set(parameters.leftOut)
        return [head for head in self.heads if head.id not in left]

    @property
    def obstacle(self) -> str:
        """Why nothing can be segmented now; empty where it can."""
        if self._context.model is None:
            return _("Open a model first.")
        if self.volume is None:
            return _("Load a scan and choose it above.")
        if not self.chosen:
            return _("Check at least one structure.")
        return ""

    @property
    def deviceText(self) -> str:
        """The device, and the duration of the last scan."""
        try:
            seconds = float(self._context.settings.value(_SECONDS, 0))
        except (TypeError, ValueError):  # whatever a file of settings may hold
            seconds = 0.0
        last = _("The last scan took {}.").format(duration(seconds)) if 0 < seconds < math.inf else ""
        return " ".join(part for part in (self._context.device, last) if part)

    def prepare(self) -> None:
        """Learn once what the worker computes on."""
        if not self._asked:
            self._asked = True
            self._context.ask("doctor", {}, self._takeDevice, failed=lambda _failed: None)

    def chooseVolume(self, volume: Any) -> None:
        """Choose the scan, as a person does, and show it.

        What a chooser says while the scene is loaded or closed is no choice.
        """
        if self._context.parameters is None or self._context.bridge.sceneBusy():
            return
        if volume is not self.volume and self._context.state is State.DONE:
            self.close()
        if volume is not None:
            self._context.bridge.showScan(volume)
        self._context.parameters.inputVolume = volume
        self._context.changed()

    def leaveOut(self, ids: set[str]) -> None:
        """Choose all structures but these."""
        self._context.parameters.leftOut = sorted(ids)
        self._context.changed()

    def wantUncertainty(self, wanted: bool) -> None:
        """Choose whether a map of uncertainty is made too."""
        self._context.parameters.uncertainty = wanted
        self._context.changed()

    def start(self) -> None:
        """Segment; the scan is written for the worker first."""
        if self.obstacle or self._context.state.busy or not self._context.may(State.SEGMENTING):
            return
        self._context.dismiss()
        try:
            folder = self._context.folders.newWork("segment-")
        except OSError as error:
            self._context.fail(error)
            return
        run = self._run = _Run(self.volume, self.chosen, folder)
        self._context.go(State.SEGMENTING)
        try:
            export = self._context.bridge.exportVolume(run.volume, folder, self._context.defer)
        except Exception as error:  # whatever it is, the panel must not wait for ever
            self._stop(error)
        else:
            self._follow(export, _("Preparing the scan"), (0.0, _WRITTEN), lambda: self._submit(run, export))

    def endScene(self) -> None:
        """Let go of a scene that is being closed."""
        if self._request.verb:
            self._request.giveUp(lambda: self._stop(DataError(_("The scene was closed while a scan was segmented."))))
        if self._context.state is State.DONE:
            self._context.home()

    def undo(self) -> None:
        """Take the result out of the scene again; what was there before is back, what was changed since stays."""
        if self._context.state is State.DONE:
            work = self._context.bridge.undoSegmentation(self._context.defer)
            self.close()
            work.listen(lambda: self._sayUndone(work))

    def close(self) -> None:
        """Show the result no longer; it stays in the scene."""
        if self._context.state is State.DONE:
            self._context.home()

    def forget(self) -> None:
        """Let go of a result that is shown no longer, and remove its files."""
        outcome, self.outcome = self.outcome, None
        self.overlay.hide(lambda: None if outcome is None else clear(outcome.folder, self._context.defer))

    def showUncertainty(self, shown: bool) -> None:
        """Lay the map of uncertainty over the scan, or take it away."""
        if not shown:
            self.overlay.hide()
        elif self.outcome is not None and self.outcome.uncertainty is not None:
            self.overlay.showUncertainty(self.outcome.uncertainty, self.outcome.volume)

    @property
    def comparable(self) -> list[KnownStructure]:
        """The structures to which voxels can be similar; none unless the model has directions of structures."""
        model = self._context.model
        return self.heads if model is not None and model.output == "embedding" else []

    def showSimilarity(self, head: KnownStructure | None) -> None:
        """Lay the map of similarity to a structure over the scan, or take it away."""
        if head is None:
            self.overlay.hide()
        elif self.outcome is not None:
            self._context.dismiss()
            self.overlay.showSimilarity(self.outcome, head)

    def correct(self, head: KnownStructure | None = None) -> None:
        """Open the Segment Editor on a structure, by default the first that was found."""
        if self.outcome is None:
            return
        if head is None and self.outcome.found:
            head = self.outcome.found[0][0]
        segment = "" if head is None else head.id
        self._context.bridge.openInSegmentEditor(self.outcome.segmentation, segment, self.outcome.volume)

    def _submit(self, run: _Run, export: Work) -> None:
        run.scan = Path(export.result)
        arguments: Json = {
            "model": str(self._context.folder),
            "scans": str(run.scan),
            "output": str(run.folder / "result"),
            "structures": ", ".join(head.name for head in run.heads),
            "uncertainty": bool(self._context.parameters.uncertainty),
        }
        self._ask("segment", arguments, (_WRITTEN, _SEGMENTED), lambda result: self._read(run, result))

    def _read(self, run: _Run, result: Json) -> None:
        """Read what the worker wrote."""
        reading = self._context.bridge.readSegmentation(Path(result["outputs"][0]), self._context.defer, run.volume)
        self._follow(reading, _("Showing the result"), (_SEGMENTED, 1.0), lambda: self._show(run, reading, result))

    def _show(self, run: _Run, reading: Work, result: Json) -> None:
        """Put the result into the scene and say what was found."""
        try:
            assert self._context.model is not None
            assert run.scan is not None
            structures = [self._context.model.structures.by_id(head.id) for head in run.heads]
            node = self._context.bridge.showSegmentation(reading, run.volume, structures)
            self._context.parameters.segmentation = node
            seconds = time.monotonic() - run.began
            self.outcome = Outcome.of(result, run.heads, run.volume, node, run.scan, run.folder, seconds)
        except Exception as error:  # whatever it is, the panel must not wait for ever
            self._stop(error)
            return
        self._context.settings.setValue(_SECONDS, round(seconds, 1))
        self._run = None
        said = [*self._context.warnings, *self.outcome.warnings]
        self._context.go(State.DONE)
        for text in said:
            self._context.warn(text)

    def _stop(self, error: events.Failed | BaseException | None = None) -> None:
        """Go back to where a segmentation can be begun, and say why."""
        run, self._run = self._run, None
        if run is not None:
            clear(run.folder, self._context.defer)
        self._say("")
        self._context.home()
        if error is not None:
            self._context.refresh()  # it may have failed because the model was changed
            self._context.fail(error, None if self.obstacle else Remedy(_("Try again"), self.start))

    def _sayUndone(self, work: Work) -> None:
        """Say what could not be undone; a scene that was closed meanwhile has nothing left to undo."""
        if work.result is not None and (said := _undone(work.result.taken, work.result.kept)):
            self._context.warn(said)
        if work.error is not None and not self._context.bridge.sceneBusy():
            self._context.fail(work.error)

    def _takeDevice(self, result: Json) -> None:
        name = result.get("device", "")
        if name.startswith("CPU"):
            self._context.device = _("No GPU is used: {}.").format(name)
        elif name:
            self._context.device = _("GPU ready: {}.").format(name)
        if result.get("nice"):
            self._context.device += " " + _("It shares the low priority of Slicer.")


def _undone(taken: bool, kept: Sequence[str]) -> str:
    """Say what could not be undone; empty where all was."""
    names = ", ".join(kept)
    if kept and taken:
        return _("Not removed, because changed since: {names}.").format(names=names)
    if kept:
        return _("There is nothing to undo: what was found has been changed since ({names}).").format(names=names)
    return "" if taken else _("There is nothing to undo: the result is not in the scene any more.")
