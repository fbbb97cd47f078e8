"""A step that the worker does: where it is, how well it goes, and how it is stopped."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from IncrementalSegLib.errors import NoMemoryError
from IncrementalSegLib.jobs.client import Job
from IncrementalSegLib.jobs.events import Event, Failed, Metric, Preview, Progress
from IncrementalSegLib.progress import Phase
from IncrementalSegLib.types import Json
from IncrementalSegPanel.Failure import Mend
from IncrementalSegPanel.flows.Lesson import Lesson
from IncrementalSegPanel.flows.Terms import Terms
from IncrementalSegPanel.State import State
from IncrementalSegPanel.Texts import _

if TYPE_CHECKING:
    from IncrementalSegPanel.Session import Session

PHASES = (Phase.PREPARING, Phase.TRAINING, Phase.REMEMBERING, Phase.CHECKING_OLD, Phase.SAVING)
"""The phases that a person is shown; what comes before is part of the preparation."""


class Learning:
    """The step that is being done, or was done last.

    Attributes:
        lesson: What is taught; ``None`` of a step that goes on after Slicer was started again.
        terms: How it is done.
        planned: Learning steps of the full schedule, once it has come to its end.
        title: Names of the structures that are taught.
        phase: What the step does; one of :data:`PHASES`.
        fraction: Share of the step that is done, 0..1.
        left: Seconds that the step still takes, or ``None`` while unknown.
        dice: Structure -> points (share of the learning done, Dice on the cases set aside).
        changes: The same of the older structure that has lost most: (share, points of Dice lost or gained, name).
        preview: The latest picture and what it shows, or ``None``.
        memory: How much memory was measured before the start, for people; may be empty.
        asking: Whether a person is being asked how to stop.
        confirming: Whether a person is being asked if all shall be discarded.
        wish: ``keep``, ``pause`` or ``discard`` once it was chosen; else empty.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._job: Job | None = None
        self.terms = Terms()
        self.planned: int | None = None
        self.lesson: Lesson | None = None
        self._forget()

    @property
    def latestDice(self) -> dict[str, float]:
        """Structure -> its latest Dice."""
        return {name: points[-1][1] for name, points in self.dice.items() if points}

    def start(self, lesson: Lesson, terms: Terms, giveUpUnfinished: bool) -> None:
        """Begin a step with what was dealt."""
        if self._job is not None or not self._session.may(State.TEACHING):
            return
        self._forget()
        self.lesson, self.terms, self.title = lesson, terms, lesson.name
        estimate = self._session.teaching.deal.estimate or {}
        if estimate.get("memory_mb"):
            self.memory = _("about {} GB on {}").format(f"{estimate['memory_mb'] / 1000:.1f}", estimate["device"])
        opening, places = self._session.opening, self._session.places
        assert opening.folder is not None
        arguments = lesson.arguments(opening.folder, places.temporary) | terms.arguments(None)
        arguments |= {"accept": "never", "restart": giveUpUnfinished}
        self._ask("learn", arguments, estimate.get("seconds"))

    def resume(self) -> None:
        """Go on with the step of the open model that is unfinished."""
        if self._job is not None or not self._session.may(State.TEACHING):
            return
        opening = self._session.opening
        assert opening.folder is not None
        title, lesson = self.title, self.lesson
        self._forget()
        found = self._session.teaching.deal.unfinished or {}
        self.title = ", ".join(found.get("structures", [])) or title
        self.lesson = lesson if lesson is not None and lesson.name == self.title else None
        self._ask("resume", {"model": str(opening.folder)})

    def askStop(self, asking: bool = True) -> None:
        """Ask a person how to stop, or do not ask any more."""
        self.asking, self.confirming = asking and not self.wish, False
        self._session.changed()

    def askDiscard(self) -> None:
        """Ask a person whether all shall be discarded."""
        self.confirming = True
        self._session.changed()

    def stop(self, wish: str) -> None:
        """Stop: ``keep`` what was learned, ``pause`` to go on another time, or ``discard`` everything."""
        if self._job is None:
            return
        self.wish, self.asking, self.confirming = wish, False, False
        self._session.worker.cancel(self._job, wish)
        self._session.changed()

    def _forget(self) -> None:
        self.title = ""
        self.phase, self.fraction = Phase.PREPARING, 0.0
        self.left: float | None = None
        self.dice: dict[str, list[tuple[float, float]]] = {}
        self.changes: list[tuple[float, float, str]] = []
        self.preview: tuple[Path, str] | None = None
        self.memory = ""
        self.asking, self.confirming, self.wish = False, False, ""

    def _ask(self, verb: str, arguments: Json, expected: dict[str, float] | None = None) -> None:
        session = self._session
        arguments["previews"] = str(session.places.temporary / "previews")
        session.go(State.TEACHING)
        self._job = session.ask(
            verb,
            arguments,
            self._done,
            event=self._heard,
            failed=self._failed,
            cancelled=self._cancelled,
            expected=expected,
        )

    def _heard(self, event: Event) -> None:
        match event:
            case Progress():
                self.fraction, self.left = event.fraction, event.eta
                if event.phase in PHASES:
                    self.phase = Phase(event.phase)
            case Metric(name="dice", value=float(value), structure=str(name)):
                self.dice.setdefault(name, []).append((event.fraction, value))
            case Metric(name="worst_change", value=float(value), structure=str(name)):
                self.changes.append((event.fraction, value, name))
            case Preview(kind="learning"):
                self.preview = Path(event.path), event.caption

    def _done(self, result: Json) -> None:
        self._job = None
        self.planned = result["curve"]["planned"]
        self._session.teaching.deal.keepScans()
        self._session.opening.refresh()
        self._session.comparing.show(result["version"], result)

    def _cancelled(self, kept: bool) -> None:
        self._job, wish = None, self.wish
        self._session.opening.refresh()
        if wish == "pause" and self._isUnfinished():
            self._session.teaching.deal.keepScans()
            self._session.home()
            self._session.warn(_("The step is paused. Go on with it at any time, also after Slicer was closed."))
            return
        self._back(discarded=wish == "discard")
        if wish != "discard":
            self._session.warn(_("There was nothing to keep yet: the step had only begun to read its scans."))
        elif self._isUnfinished():  # the worker was ended by force
            arguments = {"model": str(self._session.opening.folder)}
            self._session.ask("give_up", arguments, lambda _result: self._session.opening.refresh())

    def _failed(self, failed: Failed) -> None:
        self._job = None
        self._session.opening.refresh()
        if self._isUnfinished():
            self._session.teaching.deal.keepScans()
        self._back()
        self._session.fail(failed, self._mend(failed))

    def _back(self, discarded: bool = False) -> None:
        """Go back to the deal, where it can be tried again, or else to the beginning."""
        if self.lesson is None:
            self._session.home()
            return
        self._session.go(State.DEAL)
        self._session.teaching.deal.showAgain(self.lesson, self.terms, discarded)

    def _isUnfinished(self) -> bool:
        return self._session.teaching.deal.unfinished is not None

    def _mend(self, failed: Failed) -> Mend | None:
        """Return what may help: another try with less memory, or to go on from the last checkpoint."""
        if failed.kind == NoMemoryError.__name__ and self.lesson is not None:
            return self._withLess()
        if self._isUnfinished():
            return Mend(_("Go on from the last checkpoint"), self.resume)
        return None

    def _withLess(self) -> Mend:
        deal, settings = self._session.teaching.deal, self.terms.settings
        small = deal.isFirst and settings.values.get("preset") != "quick"

        def retry() -> None:
            settings.values |= {"preset": "quick"} if small else {"device": "cpu"}
            deal.allowGivingUp(True)
            self._session.teaching.teach()

        return Mend(_("Try again with the preset quick") if small else _("Try again on the CPU"), retry)
