"""A step that the worker does: where it is, how well it goes, and how it is stopped."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from IncrementalSegLib.errors import NoMemoryError
from IncrementalSegLib.progress import Phase
from IncrementalSegLib.types import Json
from IncrementalSegLib.wire.client import Job
from IncrementalSegLib.wire.events import Event, Failed, Metric, Preview, Progressed
from IncrementalSegPanel.Failure import Remedy
from IncrementalSegPanel.flows.Context import Context
from IncrementalSegPanel.flows.StepOptions import StepOptions
from IncrementalSegPanel.flows.Summary import Summary
from IncrementalSegPanel.flows.TeachingTask import TeachingTask
from IncrementalSegPanel.State import State
from IncrementalSegPanel.Translation import _

PHASES = (Phase.PREPARING, Phase.TRAINING, Phase.REMEMBERING, Phase.CHECKING_OLD, Phase.SAVING)
"""The phases that a person is shown; what comes before is part of the preparation."""


class Learning:
    """The step that is being done, or was done last.

    Args:
        context: Whose model is taught.
        summary: What it takes.
        teach: Begins the step again.
        compare: Shows a version with what ``learn`` answered.

    Attributes:
        task: What is taught; ``None`` of a step that goes on after Slicer was started again.
        stepOptions: How it is done.
        planned: Learning steps of the full schedule, once it has come to its end.
        title: Names of the structures that are taught.
        phase: What the step does; one of :data:`PHASES`.
        fraction: Share of the step that is done, 0..1.
        left: Seconds that the step still takes, or ``None`` while unknown.
        dice: Structure -> points (share of the learning done, Dice on the held-out cases).
        changes: The same of the older structure that has lost most: (share, points of Dice lost or gained, name).
        preview: The latest picture and what it shows, or ``None``.
        memory: How much memory was measured before the start, for people; may be empty.
        asking: Whether a person is being asked how to stop.
        confirming: Whether a person is being asked to confirm discarding everything.
        wish: ``keep``, ``pause`` or ``discard`` once it was chosen; else empty.
    """

    def __init__(
        self, context: Context, summary: Summary, teach: Callable[[], None], compare: Callable[[int, Json], None]
    ) -> None:
        self._context, self._summary, self._teach, self._compare = context, summary, teach, compare
        self._job: Job | None = None
        self.stepOptions = StepOptions()
        self.planned: int | None = None
        self.task: TeachingTask | None = None
        self._forget()

    @property
    def latestDice(self) -> dict[str, float]:
        """Structure -> its latest Dice."""
        return {name: points[-1][1] for name, points in self.dice.items() if points}

    def start(self, task: TeachingTask, stepOptions: StepOptions, giveUpUnfinished: bool) -> None:
        """Begin a step with what was dealt."""
        if self._job is not None or not self._context.may(State.TEACHING):
            return
        self._forget()
        self.task, self.stepOptions, self.title = task, stepOptions, task.name
        estimate = self._summary.estimate or {}
        if estimate.get("memory_mb"):
            self.memory = _("about {} GB on {}").format(f"{estimate['memory_mb'] / 1000:.1f}", estimate["device"])
        assert self._context.folder is not None
        arguments = task.arguments(self._context.folder, self._context.folders.temporary) | stepOptions.arguments(None)
        arguments |= {"accept": "never", "restart": giveUpUnfinished}
        self._ask("learn", arguments, None if self._summary.outdated else estimate.get("seconds"))

    def resume(self) -> None:
        """Resume the unfinished step of the open model."""
        if self._job is not None or not self._context.may(State.TEACHING):
            return
        title, task = self.title, self.task
        self._forget()
        found = self._context.unfinished
        self.title = title if found is None else ", ".join(found.structures)
        self.task = task if task is not None and task.name == self.title else None
        self._ask("resume", {"model": str(self._context.folder)})

    def askStop(self, asking: bool = True) -> None:
        """Ask a person how to stop, or do not ask any more."""
        self.asking, self.confirming = asking and not self.wish, False
        self._context.changed()

    def askDiscard(self) -> None:
        """Ask a person to confirm discarding everything."""
        self.confirming = True
        self._context.changed()

    def stop(self, wish: str) -> None:
        """Stop: ``keep`` what was learned, ``pause`` to go on another time, or ``discard`` everything."""
        if self._job is None:
            return
        self.wish, self.asking, self.confirming = wish, False, False
        self._context.worker.cancel(self._job, wish)
        self._context.changed()

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
        context = self._context
        arguments["previews"] = str(context.folders.temporary / "previews")
        context.go(State.TEACHING)
        self._job = context.ask(
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
            case Progressed():
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
        self._summary.keepScans()
        self._context.refresh()
        self._compare(result["version"], result)

    def _cancelled(self, kept: bool) -> None:
        self._job, wish = None, self.wish
        self._context.refresh()
        if wish == "pause" and self._isUnfinished():
            self._summary.keepScans()
            self._context.home()
            self._context.warn(_("The step is paused. It can be resumed at any time, also after Slicer was closed."))
            return
        self._back(discarded=wish == "discard")
        if wish != "discard":
            self._context.warn(_("There was nothing to keep yet: the step had only begun to read its scans."))
        elif self._isUnfinished():  # the worker was ended by force
            arguments = {"model": str(self._context.folder)}
            self._context.ask("give_up", arguments, self._gaveUp)

    def _gaveUp(self, _result: Json) -> None:
        self._context.refresh()

    def _failed(self, failed: Failed) -> None:
        self._job = None
        self._context.refresh()
        if self._isUnfinished():
            self._summary.keepScans()
        self._back()
        self._context.fail(failed, self._remedy(failed))

    def _back(self, discarded: bool = False) -> None:
        """Go back to the summary, where it can be tried again, or else to the beginning."""
        if self.task is None:
            self._context.home()
            return
        self._context.go(State.SUMMARY)
        self._summary.showAgain(self.task, self.stepOptions, discarded)

    def _isUnfinished(self) -> bool:
        return self._context.unfinished is not None

    def _remedy(self, failed: Failed) -> Remedy | None:
        """Return what may help: another try with less memory, or resuming from the last checkpoint."""
        if failed.kind == NoMemoryError.__name__ and self.task is not None:
            return self._withLess()
        if self._isUnfinished():
            return Remedy(_("Resume from the last checkpoint"), self.resume)
        return None

    def _withLess(self) -> Remedy:
        summary, options = self._summary, self.stepOptions
        small = summary.isFirst and options.settings.values.get("preset") != "quick"

        def retry() -> None:
            options.settings = options.settings.changed({"preset": "quick"} if small else {"device": "cpu"})
            summary.allowGivingUp(True)
            self._teach()

        return Remedy(_("Try again with the preset quick") if small else _("Try again on the CPU"), retry)
