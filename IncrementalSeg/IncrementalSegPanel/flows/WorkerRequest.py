"""One job of the worker at a time that may be given up: what it answers afterwards is not heard."""

from __future__ import annotations

from collections.abc import Callable

from IncrementalSegLib.types import Json
from IncrementalSegLib.wire.client import Job
from IncrementalSegLib.wire.events import Event, Failed
from IncrementalSegPanel.flows.Context import Context

Then = Callable[[], None]


class WorkerRequest:
    """Ask the worker for one thing after the other.

    Args:
        context: Whose worker is asked.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._job: Job | None = None
        self._verb = ""
        self._given = False
        self._then: Then = _nothing

    @property
    def verb(self) -> str:
        """The activity; empty while there is none, or while it is being given up."""
        return "" if self._given else self._verb

    def ask(
        self,
        verb: str,
        arguments: Json,
        done: Callable[[Json], None],
        failed: Callable[[Failed], None],
        event: Callable[[Event], None] | None = None,
    ) -> None:
        """Ask for something; what is under way is given up, and its end waited for."""
        if self._job is not None:
            self.giveUp(lambda: self.ask(verb, arguments, done, failed, event))
            return
        self._verb = verb
        job = self._context.ask(
            verb,
            arguments,
            lambda result: self._end(lambda: done(result)),
            event=lambda found: None if event is None or self._given else event(found),
            failed=lambda found: self._end(lambda: failed(found)),
            cancelled=lambda kept: self._end(lambda: None),
        )
        self._job = job if self._verb else None  # it may have failed already

    def giveUp(self, then: Then | None = None) -> None:
        """End what is under way, and go on when it has ended: a worker that is killed takes what waits with it."""
        if self._job is None:
            (then or _nothing)()
            return
        self._then = then or _nothing
        if not self._given:
            self._given = True
            self._context.worker.cancel(self._job, "discard")

    def _end(self, act: Then) -> None:
        given, then = self._given, self._then
        self._job, self._verb, self._given, self._then = None, "", False, _nothing
        (then if given else act)()


def _nothing() -> None:
    """Do nothing."""
