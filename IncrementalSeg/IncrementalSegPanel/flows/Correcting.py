"""Correct one scan after the other by strokes, and let the model learn from them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from IncrementalSegLib.errors import DataError
from IncrementalSegLib.types import Json
from IncrementalSegLib.wire import events
from IncrementalSegPanel.Failure import Remedy
from IncrementalSegPanel.flows.Activity import Activity
from IncrementalSegPanel.flows.Context import Context
from IncrementalSegPanel.flows.CorrectionSession import CorrectionSession
from IncrementalSegPanel.flows.OutlineHistory import OutlineHistory
from IncrementalSegPanel.flows.ScanQueue import ScanQueue
from IncrementalSegPanel.flows.SpotList import SpotList
from IncrementalSegPanel.Folders import clear
from IncrementalSegPanel.Protocols import Work
from IncrementalSegPanel.State import State
from IncrementalSegPanel.Translation import _

_WRITTEN, _COMPUTED = 0.1, 0.9
"""Share that is done when the worker has got what it needs, and when it has computed."""


class Correcting(Activity):
    """A scan under correction, and the session that learns from it.

    Args:
        context: Whose model is corrected.
        compare: Shows a version by its number.

    Attributes:
        session: What the model has learned from corrections, and how.
        spots: Its uncertain places.
        queue: The scans of the scene.
        history: The outlines of the scan, round by round.
        volume: The scan, or ``None``.
        scan: Its file, once it is written.
        strokes: Its strokes in the scene.
        searching: Whether the work that is done is the search for spots, which may be given up for a round.
    """

    volume: Any
    scan: Path | None
    strokes: Any
    _again: Callable[[], None]
    _folder: Path | None

    def __init__(self, context: Context, compare: Callable[[int], None]) -> None:
        super().__init__(context)
        self.session = CorrectionSession(context, self, compare)
        self.spots = SpotList(context)
        self.queue = ScanQueue(context)
        self.history = OutlineHistory()
        self._forget(None)
        context.onLeaving(State.CORRECTING, self._leave)

    @property
    def waiting(self) -> str:
        """Why nothing else can be done now; empty where something can."""
        return self.queue.phase or ("" if self.searching else self.phase)

    @property
    def obstacle(self) -> str:
        """Why nothing can be refined now; empty where it can."""
        if self.volume is None:
            return _("Load a scan and choose it first.")
        if self.scan is None:
            return self.phase or _("The scan could not be prepared.")
        return self.waiting

    @property
    def obstacleToUndo(self) -> str:
        """Why no round can be undone now; empty where one can."""
        if self.waiting or self.history.rounds:
            return self.waiting
        return self.session.obstacleToUndo(self.title)

    @property
    def title(self) -> str:
        """Name of the scan, or an empty text."""
        return "" if self.volume is None else self._context.bridge.nameOf(self.volume)

    def begin(self, volume: Any, shown: bool = False) -> None:
        """Correct a scan.

        Args:
            volume: The scan, or ``None``: the session alone is shown.
            shown: Its outlines by the version in use are shown already.
        """
        if self._context.model is None or not self._context.may(State.CORRECTING):
            return
        self._context.go(State.CORRECTING)
        self.queue.look()
        self.session.ask()
        self.enter(volume, shown)

    def enter(self, volume: Any, shown: bool = False) -> None:
        """Correct another scan; arguments as for :meth:`begin`."""
        self._end()
        self._forget(volume)
        self._context.warnings.clear()
        if volume is None:
            self._context.changed()
            return
        model, bridge = self._context.model, self._context.bridge
        assert model is not None
        self._again, self.searching = (lambda: self.enter(volume, shown)), True
        try:
            self._folder = self._context.folders.newWork("correct-")
            opening = bridge.openStrokes(volume, model.structures, self._context.defer)
        except Exception as error:  # whatever it is, the panel must not wait for ever
            self._stop(error)
        else:
            self._follow(opening, _("Preparing the scan"), (0.0, 0.0), lambda: self._opened(opening.result, shown))

    def look(self, shown: bool = True) -> None:
        """Outline the scan with what was learned so far, and find its spots.

        Args:
            shown: What is shown stays, unless the model has learned from other scans since it was made.
        """
        self._again, self.searching = (lambda: self.look(shown)), True
        arguments = self._arguments({"scan": str(self.scan), "output": str(self._free("outline"))})
        self._ask("outline", arguments, (_WRITTEN, _COMPUTED), lambda result: self._looked(result, shown))

    def refine(self) -> None:
        """Do a round: the model learns from the strokes, and what it outlines then is shown."""
        if self.obstacle or self._context.state is not State.CORRECTING:
            return
        self._context.dismiss()
        self._giveUp(self._refine)

    def undo(self) -> None:
        """Take back the last round; strokes stay."""
        if self.obstacleToUndo or self._context.state is not State.CORRECTING:
            return
        self._context.dismiss()
        self._giveUp(self._undo)

    def done(self) -> None:
        """Accept the outlines as they are, and correct the next scan; after the last one the page is left."""
        if self.waiting or self._context.state is not State.CORRECTING:
            return
        self._context.dismiss()
        self.queue.finish(self.volume)
        self.queue.look()
        following = self.queue.next(self.volume)
        if following is None:
            self.leave()
        else:
            self.enter(following)

    def goTo(self, number: int) -> None:
        """Correct another scan of the list, from 0."""
        volume = self.queue.rows[number].volume
        if not self.waiting and volume is not self.volume:
            self._context.dismiss()
            self.enter(volume)

    def leave(self) -> None:
        """Go back to the beginning; what was learned waits to be kept or discarded."""
        if self._context.state is State.CORRECTING:
            self._context.home()

    def escape(self) -> None:
        """Give up a round that runs; else leave."""
        if self.session.asking:
            self.session.confirm(False)
        elif self.waiting:
            self.cancel()
        else:
            self.leave()

    def beginScene(self) -> None:
        """Take over a loaded scene: hide all strokes but those being edited."""
        self._context.bridge.strokes.hide(but=self.strokes)
        if self._context.state is State.CORRECTING:
            self.queue.look()

    def endScene(self) -> None:
        """Let go of a scene that is being closed."""
        if self._context.state is State.CORRECTING:
            interrupted = bool(self.waiting)
            self.queue.forget()
            self._context.home()
            if interrupted:
                self._context.fail(DataError(_("The scene was closed during a round of corrections.")))

    def cancel(self) -> None:
        """Give up what is under way; nothing has changed."""
        if self.queue.phase:
            self.queue.cancel()
        else:
            super().cancel()

    def work(self, verb: str, arguments: Json, done: Callable[[Json], None], again: Callable[[], None]) -> None:
        """Do something with the session, as soon as the search for spots has ended.

        Args:
            verb: What to do.
            arguments: By name, besides the model.
            done: Receives the result, when nothing is being done any more.
            again: Tries it once more.
        """

        def ask() -> None:
            self._again, self.searching = again, False
            self._ask(verb, self._arguments(arguments), (0.0, 1.0), finished)

        def finished(result: Json) -> None:
            self._say("")
            done(result)

        self._context.dismiss()
        self._giveUp(ask)

    def restart(self) -> None:
        """Look at the scan with the version in use again; what is shown stays."""
        self.history.forget()
        if self.scan is not None:
            self.look()

    def _opened(self, strokes: Any, shown: bool) -> None:
        self.strokes = strokes
        try:
            assert self._folder is not None
            export = self._context.bridge.exportVolume(self.volume, self._folder / "scan", self._context.defer)
        except Exception as error:  # whatever it is, the panel must not wait for ever
            self._stop(error)
        else:
            self._follow(export, _("Preparing the scan"), (0.0, _WRITTEN), lambda: self._prepared(export, shown))

    def _prepared(self, export: Work, shown: bool) -> None:
        self.scan = Path(export.result)
        self.look(shown)

    def _looked(self, result: Json, shown: bool) -> None:
        self.session.names[result["scan"]] = self.title
        self.spots.take(result)
        for text in result["warnings"]:
            self._context.warn(text)
        if self.history.rounds:  # what the strokes have corrected is better than what is found without them
            self._stop()
            return
        self.history.begin(Path(result["outputs"][0]))
        if shown and not result["rounds"]:
            self._stop()
        else:
            self._show(self._stop)

    def _refine(self) -> None:
        self._again, self.searching = self.refine, False
        path = self._free("strokes").with_suffix(".seg.nrrd")
        export = self._context.bridge.strokes.export(self.strokes, self.volume, path, self._context.defer)
        self._follow(export, _("Reading the strokes"), (0.0, _WRITTEN), lambda: self._correct(path))

    def _correct(self, strokes: Path) -> None:
        wanted = {"scan": str(self.scan), "strokes": str(strokes), "output": str(self._free("round"))}
        arguments = self._arguments(wanted | {"method": self.session.method})
        self._ask("correct", arguments, (_WRITTEN, _COMPUTED), self._corrected)

    def _corrected(self, result: Json) -> None:
        learned = result["session"] is not None
        if learned:
            self.session.take(result["session"])
        for text in result["warnings"]:
            self._context.warn(text)
        self.history.add(Path(result["outputs"][0]), learned)
        self._show(self.look if learned else self._stop)

    def _undo(self) -> None:
        self._again, self.searching = self.undo, False
        if self.history.rounds and not self.history.learned:
            self._back()
        else:
            self._ask("undo_correction", self._arguments({}), (0.0, 0.5), self._undone)

    def _undone(self, status: Json) -> None:
        self.session.take(status)
        self._back()

    def _back(self) -> None:
        """Show the outlines before the last round."""
        learned = self.history.learned
        self.history.back()
        if self.history.current is not None:
            self._show(self.look if learned else self._stop)
        elif self.scan is None:
            self._stop()
        else:
            self.look(shown=False)

    def _show(self, then: Callable[[], None]) -> None:
        """Show the last outlines in place of those before, and go on."""

        def show() -> None:
            try:
                assert self._context.model is not None
                structures = self._context.model.structures
                node = self._context.bridge.showSegmentation(reading, self.volume, structures)
                self._context.parameters.segmentation = node
            except Exception as error:  # whatever it is, the panel must not wait for ever
                self._stop(error)
            else:
                then()

        assert self.history.current is not None
        reading = self._context.bridge.readSegmentation(self.history.current, self._context.defer, self.volume)
        self._follow(reading, _("Showing the result"), (_COMPUTED, 1.0), show)

    def _stop(self, error: events.Failed | BaseException | None = None) -> None:
        """End what is done; what is shown stays."""
        self.searching = False
        self._say("")
        if error is not None:
            self._context.fail(error, Remedy(_("Try again"), self._again))
            self.session.ask()  # a round may have been written before its worker was lost

    def _arguments(self, arguments: Json) -> Json:
        return {"model": str(self._context.folder)} | arguments

    def _free(self, name: str) -> Path:
        """Return a path for files of this scan that is not used yet."""
        self._number += 1
        assert self._folder is not None
        return self._folder / f"{name} {self._number}"

    def _forget(self, volume: Any) -> None:
        self.volume, self.scan, self.strokes = volume, None, None
        self.spots.forget(volume)
        self.searching, self._number, self._folder = False, 0, None
        self.history.forget()
        self._again = self.leave

    def _end(self) -> None:
        """Give up what is done with the scan, and remove what is not needed any more."""
        folder, work, self._work = self._folder, self._work, None
        if work is not None:
            work.cancel()
        self._request.giveUp(
            lambda: None if folder is None else clear(folder, self._context.defer, kept="scan")
        )  # it is looked back at
        self.phase, self.eta = "", None
        self._context.bridge.strokes.hide()

    def _leave(self) -> None:
        self._end()
        self.queue.cancel()
        self._forget(None)
        self.session.asking = False
