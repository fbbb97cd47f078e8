"""Work that a person waits for: a file is written, the worker computes, a file is read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from IncrementalSegLib.progress import Phase
from IncrementalSegLib.types import Json
from IncrementalSegLib.wire import events
from IncrementalSegPanel.flows.Context import Context
from IncrementalSegPanel.flows.WorkerRequest import WorkerRequest
from IncrementalSegPanel.Protocols import Work
from IncrementalSegPanel.Translation import _
from IncrementalSegPanel.Wording import duration, phaseWords

Shares = tuple[float, float]
"""Share of the whole that is done when a part begins, and when it ends."""


class Activity(ABC):
    """One part after the other; a subclass says what comes of it.

    Args:
        context: Whose worker and scene are used.

    Attributes:
        phase: What is being done, for people; empty while nothing is.
        fraction: Share that is done, 0..1; ``None`` while the worker is not ready to begin.
        eta: Seconds that the worker will still take, or ``None``.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self.phase = ""
        self.fraction: float | None = None
        self.eta: float | None = None
        self._request = WorkerRequest(context)
        self._work: Work | None = None

    @property
    def progressText(self) -> str:
        """The activity and its time left, in words."""
        return self.phase if self.eta is None else _("{} · {} left").format(self.phase, duration(self.eta))

    def cancel(self) -> None:
        """Give up what is under way."""
        self._giveUp(self._stop)

    def _giveUp(self, then: Callable[[], None]) -> None:
        """Give up what is under way, and go on when it has ended."""
        work, self._work = self._work, None
        if work is not None:
            work.cancel()
        if self._request.verb:
            self._say(_("Cancelling"))
        self._request.giveUp(then)

    @abstractmethod
    def _stop(self, error: events.Failed | BaseException | None = None) -> None:
        """End the activity, and say why."""

    def _follow(self, work: Work, phase: str, shares: Shares, then: Callable[[], None]) -> None:
        """Go on when a file has been written or read; until then say how far that is.

        Args:
            work: What is written or read.
            phase: What is being done, for people.
            shares: Its part of the whole.
            then: Goes on.
        """
        self._work = work
        begin, end = shares

        def tell() -> None:
            self._say(phase, begin + (end - begin) * work.progress)

        def heard() -> None:
            if work is not self._work:  # it was given up
                return
            if not work.done:
                tell()
                return
            self._work = None
            if work.result is not None:
                then()
            else:
                self._stop(work.error)

        tell()
        work.listen(heard)

    def _ask(self, verb: str, arguments: Json, shares: Shares, done: Callable[[Json], None]) -> None:
        """Let the worker compute, and say how far it is.

        Args:
            verb: What to do.
            arguments: By name.
            shares: Its part of the whole.
            done: Receives the result.
        """
        begin, end = shares

        def heard(event: events.Event) -> None:
            if isinstance(event, events.Progressed):
                ready = event.phase not in (Phase.STARTING, Phase.LOADING)
                share = begin + (end - begin) * event.fraction
                self._say(phaseWords(event.phase), share if ready else None, event.eta)

        self._say(_("Starting"))
        self._request.ask(verb, arguments, done, self._stop, heard)

    def _say(self, phase: str, fraction: float | None = None, eta: float | None = None) -> None:
        self.phase, self.fraction, self.eta = phase, fraction, eta
        self._context.changed()
