"""Compare a version with the one before, and decide: accept it, keep both, discard it, go back to another."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from IncrementalSegLib.types import Json
from IncrementalSegLib.wire.events import Failed
from IncrementalSegPanel.documents.Lineage import Version, differences
from IncrementalSegPanel.documents.Pictures import Picture
from IncrementalSegPanel.documents.Retention import Retention, RetentionRow
from IncrementalSegPanel.flows.Context import Context
from IncrementalSegPanel.flows.Jumping import jump, obstacleToJump
from IncrementalSegPanel.flows.Reviewing import Reviewing
from IncrementalSegPanel.flows.Teaching import Teaching
from IncrementalSegPanel.flows.WorkerRequest import WorkerRequest
from IncrementalSegPanel.State import State
from IncrementalSegPanel.Translation import _


class Comparing:
    """One version of the open model, and the list of all.

    Args:
        context: Whose model has the versions.
        teaching: Repeats a step in another way.
        reviewing: Comes after a version was accepted.

    Attributes:
        number: Number of the version that is shown, or ``None``.
        report: What the gate found, or ``None`` while unknown.
        lineage: All versions, the newest first; empty while unknown.
        differences: What distinguishes it from the version in use, in sentences.
        pictures: Slices before and after; of each structure the one that lost most first.
        chosen: Name of the older structure that is looked at; empty while none is.
        doing: What is being done with the version, in words; empty while nothing is.
        listing: The list of all versions was asked for.
        consent: A person accepts what the gate holds the version back for.
        asking: The panel asks whether to discard the version.
    """

    number: int | None
    report: Retention | None
    differences: list[str]
    pictures: list[Picture]

    def __init__(self, context: Context, teaching: Teaching, reviewing: Reviewing) -> None:
        self._context, self._teaching, self._reviewing = context, teaching, reviewing
        self._drawing = WorkerRequest(context)
        self._folder: Path | None = None
        self._forget(None)
        self.lineage: tuple[Version, ...] = ()
        self.listing = False

    def show(self, number: int, result: Json | None = None) -> None:
        """Show a version and what it would change.

        Args:
            number: Of the version.
            result: What ``learn`` answered, where it was taught just now.
        """
        if not self._context.may(State.COMPARING):
            return
        self._drawing.giveUp()
        self._forget(number)
        if self._folder != self._context.folder:  # the list stays until the new one of the same model comes
            self._folder, self.lineage = self._context.folder, ()
        self._fresh = result is not None
        if result is not None:
            self.listing = False
            self.report = Retention.of(result["retention"])
        self._context.go(State.COMPARING)
        self._ask("versions", {}, self._list)

    def showNth(self, place: int) -> None:
        """Show the version at a place of the list, from 0."""
        if not self.doing:
            self.show(self.lineage[place].number)

    def versions(self) -> None:
        """Show all versions, and of the one in use what the gate found."""
        model = self._context.model
        if model is not None and not self.doing and not self._context.state.busy:
            self.listing = True
            self.show(model.version)

    @property
    def version(self) -> Version | None:
        """The version that is shown, as the list has it."""
        return next((item for item in self.lineage if item.number == self.number), None)

    @property
    def learned(self) -> str:
        """The learning result of its step in sentences; empty while unknown."""
        return self.version.learned if self.version is not None else ""

    @property
    def status(self) -> str:
        """Its status; what was taught just now is a candidate."""
        if self.version is not None:
            return self.version.status
        return "candidate" if self._fresh else ""

    @property
    def undecided(self) -> bool:
        """Whether the version can be accepted."""
        return self.status in ("candidate", "rejected")

    @property
    def held(self) -> tuple[str, ...]:
        """The gate's reasons to hold back a version that can be accepted."""
        return self.report.held if self.undecided and self.report is not None else ()

    @property
    def row(self) -> RetentionRow | None:
        """The retention of the chosen structure."""
        rows = () if self.report is None else self.report.rows
        return next((row for row in rows if row.structure == self.chosen), None)

    @property
    def picture(self) -> Picture | None:
        """The slice of the chosen structure that is looked at."""
        pictures = self._chosenPictures
        return pictures[self._seen % len(pictures)] if pictures else None

    @property
    def pictureTitle(self) -> str:
        """Position of the scan on show, and the number of scans."""
        count = len(self._chosenPictures)
        if self.picture is None:
            return ""
        text = "{case}" if count == 1 else _("{case}, {number} of {count}; the one that lost most comes first")
        return text.format(case=self.picture.case, number=self._seen % count + 1, count=count)

    @property
    def obstacleToDecide(self) -> str:
        """Why the primary button can do nothing now; empty where it can."""
        if self.doing or not self.undecided:
            return self.doing
        if self.report is None:
            return _("Wait until the report has been read.")
        if self.held and not self.consent:
            return _("Tick first that you accept the loss of {names}.").format(names=", ".join(self.held))
        return ""

    @property
    def obstacleToNext(self) -> str:
        """Why no other slice can be shown; empty where one can."""
        return "" if len(self._chosenPictures) > 1 else _("There is no other scan of this structure.")

    @property
    def obstacleToJump(self) -> str:
        """Why the scan of the slice cannot be shown; empty where it can."""
        return obstacleToJump(self._context, None if self.picture is None else self.picture.place)

    @property
    def obstacleToRepeat(self) -> str:
        """Why the step cannot be done again in another way; empty where it can."""
        if self._fresh and self._teaching.canRepeat:
            return self.doing
        return _("Only a step of this session can be repeated; its examples are not known any more.")

    def agree(self, consent: bool) -> None:
        """Accept, or not, what the gate holds the version back for."""
        self.consent = consent
        self._context.changed()

    def choose(self, number: int) -> None:
        """Look at the ``number``-th older structure, from 0."""
        assert self.report is not None
        self.chosen, self._seen = self.report.rows[number].structure, 0
        self._context.changed()

    def next(self) -> None:
        """Look at another slice of the same structure."""
        self._seen += 1
        self._context.changed()

    def jump(self) -> None:
        """Show the slice in Slicer's own views."""
        assert self.picture is not None
        assert self.picture.place is not None
        jump(self._context, self.picture.place)

    def decide(self) -> None:
        """Do what the version's status asks for: accept it, go back to it, or leave it in use."""
        if self._late:
            return
        if self.undecided:
            self._decide("accept", _("Accepting…"), self._reviewing.offer)
        elif self.status == "accepted":
            number = self.number
            assert number is not None
            self._decide("rollback", _("Going back…"), lambda: self.show(number))
        else:
            self.leave()

    def leave(self) -> None:
        """Go back to the beginning and leave the version as it is, to be decided later."""
        if not self._late:
            self._drawing.giveUp()
            self._context.home()

    def ask(self, asking: bool) -> None:
        """Ask whether to discard the version, or ask no longer."""
        self.asking = asking
        self._context.changed()

    def discard(self) -> None:
        """Mark the version as rejected."""
        if not self._late:
            self._decide("reject", _("Discarding…"), self._context.home)

    def repeat(self, longer: bool) -> None:
        """Go back to the summary of the step: to train twice as long, or in another way."""
        if not self._late:
            self._teaching.again(longer)

    @property
    def _late(self) -> bool:
        """Whether something is being done already, or the page has gone."""
        return bool(self.doing) or self._context.state is not State.COMPARING

    @property
    def _chosenPictures(self) -> list[Picture]:
        return [item for item in self.pictures if item.structure == self.chosen]

    def _forget(self, number: int | None) -> None:
        self.number = number
        self.report, self.differences, self.pictures = None, [], []
        self.chosen = self.doing = ""
        self._seen, self._shown = 0, object()
        self.consent = self.asking = self._fresh = False

    def _decide(self, verb: str, doing: str, then: Callable[[], None]) -> None:
        def done(_summary: Json) -> None:
            self.doing, self.lineage, self._fresh = "", (), False  # what was known of its status is past
            self._context.refresh()
            if self._context.state is State.COMPARING:  # else a person went on to something else meanwhile
                then()

        def failed(error: Failed) -> None:
            self.doing = ""
            self._context.fail(error)

        self.doing, self.asking = doing, False
        arguments = self._arguments({"version": self.number})

        def ask() -> None:
            self._context.ask(verb, arguments, done, failed=failed)

        self._drawing.giveUp(ask)
        self._context.changed()

    def _list(self, found: Json) -> None:
        self.lineage = tuple(Version.of(record) for record in reversed(found["versions"]))
        if self.version is not None and not self.version.taught:
            self.report = Retention.ofEdit()
        elif self.report is None:
            self._ask("summary", {"version": self.number}, self._report)
        else:
            self._look()
        if found["current"] not in (0, self.number):
            self._ask("diff", {"first": found["current"], "second": self.number}, self._distinguish)

    def _report(self, summary: Json) -> None:
        self.report = Retention.of(summary["retention"])
        self._look()

    def _distinguish(self, diff: Json) -> None:
        self.differences = differences(diff)

    def _look(self) -> None:
        """Ask for pictures where something was measured."""
        assert self.report is not None
        if self.report.rows:
            self.chosen = self.report.rows[0].structure
        if any(row.points is not None for row in self.report.rows):
            output = self._context.folders.temporary / "pictures" / f"version {self.number}"
            arguments = self._arguments({"version": self.number, "output": str(output)})
            done, failed = self._still(self._picture), self._still(self._context.fail)
            self._drawing.giveUp(lambda: self._drawing.ask("compare_pictures", arguments, done, failed))

    def _picture(self, found: Json) -> None:
        self.pictures = [Picture.of(item) for item in found["pictures"]]

    def _ask(self, verb: str, arguments: Json, done: Callable[[Json], None]) -> None:
        self._context.ask(verb, self._arguments(arguments), self._still(done))

    def _still(self, act: Callable[[Any], None]) -> Callable[[Any], None]:
        """Return an action that does nothing once something else is shown."""
        shown = self._shown
        return lambda found: act(found) if self._shown is shown else None

    def _arguments(self, arguments: Json) -> Json:
        return {"model": str(self._context.folder)} | arguments
