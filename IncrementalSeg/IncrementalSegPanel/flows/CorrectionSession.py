"""The corrections of a model that are neither kept nor discarded: their method, their rounds, their end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from IncrementalSegLib.types import Json
from IncrementalSegPanel.documents.Corrections import CorrectionStatus, mean
from IncrementalSegPanel.flows.Context import Context
from IncrementalSegPanel.State import State
from IncrementalSegPanel.Translation import _

PROPAGATE_ONLY = "propagate-only"
"""The worker's name for no method: strokes spread, and the model learns nothing."""


_PREFERRED = ("lwfseg", "mib")
"""Methods for a model that another one has taught last: those of which a benefit was measured (docs/correct.md)."""


class Desk(Protocol):
    """Where a scan is corrected; see :class:`IncrementalSegPanel.flows.Correcting.Correcting`."""

    @property
    def waiting(self) -> str:
        """Why nothing else can be done now; empty where something can."""

    def work(self, verb: str, arguments: Json, done: Callable[[Json], None], again: Callable[[], None]) -> None:
        """Do something with the session."""

    def restart(self) -> None:
        """Look at the scan with the version in use again."""


class CorrectionSession:
    """The session of the open model.

    Args:
        context: Whose model it is.
        desk: Where its scans are corrected.
        compare: Shows a version by its number.

    Attributes:
        status: What was done so far.
        choices: Methods from which a person can choose.
        method: The one that is chosen.
        back: Scan -> mean Dice of its outlines as the model sees it now with those accepted; ``None`` where undefined.
        names: Scan -> its name in the scene, where it was opened since the panel was.
        asking: The panel asks whether to discard everything.
    """

    def __init__(self, context: Context, desk: Desk, compare: Callable[[int], None]) -> None:
        self._context, self._desk, self._compare = context, desk, compare
        self.forget()

    def forget(self) -> None:
        """Know nothing of a model."""
        self.status = CorrectionStatus()
        self.back: dict[str, float | None] = {}
        self.names: dict[str, str] = {}
        self.choices: tuple[str, ...] = (PROPAGATE_ONLY,)
        self.method, self.asking = PROPAGATE_ONLY, False
        self._folder: Path | None = None
        self._decided = False

    @property
    def obstacle(self) -> str:
        """Why nothing can be kept or discarded now; empty where it can."""
        return self._desk.waiting or ("" if self.status.rounds else _("Nothing is learned yet."))

    def obstacleToUndo(self, title: str) -> str:
        """Return why the last round cannot be undone where a scan of that title is shown; empty where it can."""
        if not self.status.undoable:
            return _("There is no round that could be undone.")
        last = self.status.scans[-1].name
        known = last in self.names or title in self.names.values()  # else the scan that is shown may be the last one
        scan = self.names.get(last, last)
        if title and known and scan != title:
            return _("The last round was on {}; correct that scan to undo it.").format(scan)
        return ""

    def ask(self) -> None:
        """Ask the worker for the session and for the methods."""
        if self._folder != self._context.folder:
            self.forget()
            self._folder = self._context.folder
        self._context.ask("corrections", {"model": str(self._context.folder)}, self._still(self.take))
        if len(self.choices) == 1:
            self._context.ask("methods", {}, self._still(self._offer), failed=lambda _failed: None)

    def take(self, status: Json) -> None:
        """Take over what the worker says of the session."""
        self.status = CorrectionStatus.of(status)
        self.back = {}
        if self.status.method:
            self.method, self.choices = self.status.method, (PROPAGATE_ONLY, self.status.method)
        self._context.changed()

    def choose(self, number: int) -> None:
        """Choose a method by its place in :attr:`choices`."""
        self.method, self._decided = self.choices[number], True
        self._context.changed()

    def keep(self) -> None:
        """Make a version of what was learned, which the gate judges, and show it."""
        if self.obstacle or self._context.state is not State.CORRECTING:
            return
        self._desk.work("keep_corrections", {"accept": "never"}, self._kept, self.keep)

    def confirm(self, asking: bool = True) -> None:
        """Ask whether to discard everything, or ask no longer."""
        self.asking = asking and not self.obstacle
        self._context.changed()

    def discard(self) -> None:
        """Forget what was learned; outlines and strokes stay in the scene."""
        self.asking = False
        if not self.obstacle:
            self._desk.work("discard_corrections", {}, self._discarded, self.discard)

    def lookBack(self) -> None:
        """Outline the scans of the session again, and compare with what was accepted."""
        if not self.obstacle:
            self._desk.work("look_back", {}, self._lookedBack, self.lookBack)

    def _offer(self, found: Json) -> None:
        """Take over the methods that fit the model, and suggest one that holds what it knew by itself."""
        model = self._context.model
        if model is None or self.status.method:
            return
        fitting = [item for item in found["methods"] if item["output"] in model.outputs]
        self.choices = (PROPAGATE_ONLY, *(item["name"] for item in fitting))
        holding = [item["name"] for item in fitting if set(item["needs"]) == {"teacher"}]
        if not self._decided and holding:
            wanted = (model.method, *_PREFERRED, *holding)
            self.method = next(name for name in wanted if name in holding)

    def _kept(self, result: Json) -> None:
        """Show the candidate; the session stays until a person accepts it or discards the session."""
        self._context.refresh()
        self._compare(result["version"])

    def _discarded(self, status: Json) -> None:
        self.forget()
        self.take(status)
        self._context.refresh()
        self.ask()
        self._desk.restart()

    def _lookedBack(self, found: Json) -> None:
        self.back = {name: mean(dice) for name, dice in found["scans"].items()}
        for text in (*found["warnings"], *found["failed"].values()):
            self._context.warn(text)
        self._context.changed()

    def _still(self, act: Callable[[Json], None]) -> Callable[[Json], None]:
        """Return an action that does nothing once the page or the model is another."""
        folder = self._context.folder

        def heard(found: Json) -> None:
            if self._context.folder == folder and self._context.state is State.CORRECTING:
                act(found)

        return heard
