"""One job: its progress on the way out, wishes to end it on the way in."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from IncrementalSegLib.progress import Stop, Wish
from IncrementalSegLib.wire.events import Event
from IncrementalSegLib.wire.reporter import Reporter
from IncrementalSegLib.wire.requests import Request


class RunningJob:
    """A request that is being done; itself the ``Progress`` of the engine.

    Args:
        request: What was asked.
        send: Receives the events.

    Attributes:
        wish: How the job is to end early; set by another thread, taken by the next progress.
    """

    def __init__(self, request: Request, send: Callable[[Event], None]) -> None:
        self.request = request
        self.reporter = Reporter(request.id, send, verb=request.verb, expected=request.expected)
        self.wish: Wish | None = None

    def __call__(self, phase: str, fraction: float, numbers: Mapping[str, float] | None = None) -> None:
        """Report progress.

        Raises:
            Stop: The job is to end; once for every wish, so that the rest of the job can report progress.
        """
        wish, self.wish = self.wish, None
        if wish is not None:
            raise Stop(wish)
        self.reporter(phase, fraction, numbers)
