"""A front end's side of the wire: what was asked, what is known of it, and whether the worker lives.

Nothing here waits, starts a thread or knows how bytes travel: a front end feeds what arrives and calls
:meth:`Client.tick` a few times a second.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from IncrementalSegLib.errors import WireError
from IncrementalSegLib.types import Json
from IncrementalSegLib.wire import events, requests
from IncrementalSegLib.wire.events import Event
from IncrementalSegLib.wire.lines import LineBuffer

PING_EVERY = 1.0
"""Seconds between two pings."""

DEAD_AFTER = 60.0
"""Seconds without a line after which a worker counts as dead; loading libraries from a slow disk takes long."""

LONGEST_STRAY = 1000
"""Characters kept of a line that is not an event."""

KILL_AFTER = 5.0
"""Seconds that a job has to end after it was asked to."""

State = Literal["waiting", "running", "cancelling", "finished", "failed", "cancelled"]


class Transport(Protocol):
    """Transport of bytes to a worker, which can also end it by force."""

    def write(self, data: bytes) -> None:
        """Send bytes; what cannot be sent any more is dropped."""

    def kill(self) -> None:
        """End the worker at once."""


@dataclass
class Job:
    """State of a job.

    Attributes:
        id: Its id.
        verb: What was asked.
        state: Where it is.
        progress: The latest, or ``None``.
        end: How it ended, or ``None``.
        wish: What was wished when it was cancelled, or ``None``.
        deadline: Time at which a cancelled job is ended by force, or ``None``.
    """

    id: str
    verb: str
    state: State = "waiting"
    progress: events.Progressed | None = None
    end: events.Finished | events.Failed | events.Cancelled | None = None
    wish: str | None = None
    deadline: float | None = None

    def take(self, event: Event) -> None:
        """Take note of an event of this job."""
        if self.end is not None:
            return
        match event:
            case events.Progressed():
                self.progress = event
                if self.state == "waiting":
                    self.state = "running"
            case events.Cancelling():
                self.state = "cancelling"
            case events.Finished():
                self.state, self.end = "finished", event
            case events.Failed():
                self.state, self.end = "failed", event
            case events.Cancelled():
                self.state, self.end = "cancelled", event


class Client:
    """Talk to one worker.

    Args:
        transport: Sends bytes and kills.
        clock: Seconds.
        dead_after: Seconds without a line after which the worker counts as dead.

    Attributes:
        jobs: Id -> job, in the order asked.
        hello: The worker's first line, or ``None``.
        lost: Why the worker cannot be talked to any more; ``None`` while it can.
        strays: The latest lines that were not events, for example what a library printed.
    """

    def __init__(
        self,
        transport: Transport,
        clock: Callable[[], float] = time.monotonic,
        dead_after: float = DEAD_AFTER,
    ) -> None:
        self.jobs: dict[str, Job] = {}
        self.hello: events.Hello | None = None
        self.lost: WireError | None = None
        self.strays: deque[str] = deque(maxlen=100)
        self._transport, self._clock, self._dead_after = transport, clock, dead_after
        self._buffer = LineBuffer()
        self._heard = self._pinged = clock()
        self._count = 0

    @property
    def alive(self) -> bool:
        """Whether the worker can still be talked to."""
        return self.lost is None

    def submit(self, verb: str, arguments: Json | None = None, expected: Mapping[str, float] | None = None) -> Job:
        """Ask for something; jobs are done one after the other.

        Args:
            verb: What to do.
            arguments: By name.
            expected: Seconds that each part takes, as ``estimate`` gave them.

        Raises:
            WireError: The worker is gone, or speaks another protocol.
        """
        if self.lost is not None:
            raise self.lost
        job = Job(self._send(verb, arguments or {}, expected), verb)
        self.jobs[job.id] = job
        return job

    def cancel(self, job: str, wish: str = "discard") -> None:
        """End a job early; it ends by force if it takes longer than :data:`KILL_AFTER`.

        Nothing is forced with the wish ``keep``: remembering, checking and saving still take a while.

        Args:
            job: Id of the job.
            wish: ``keep``, ``pause`` or ``discard``; may be changed by a second call.
        """
        known = self.jobs[job]
        if known.end is not None or not self.alive:
            return
        known.wish = wish
        known.deadline = None if wish == "keep" else self._clock() + KILL_AFTER
        self._send(requests.CANCEL, {"job": job, "wish": wish})

    def shutdown(self) -> None:
        """Let the worker end when it has done what it was asked for."""
        self._send(requests.SHUTDOWN, {})

    def feed(self, data: bytes) -> list[Event]:
        """Take bytes that arrived, split anywhere, and return the events in them."""
        found: list[Event] = []
        for line in self._buffer.feed(data):
            try:
                event = events.decode(line)
            except WireError:
                self.strays.append(line[:LONGEST_STRAY])
                continue
            self._heard = self._clock()
            found.append(event)
            if isinstance(event, events.Hello):
                self.hello = event
                if event.protocol != events.PROTOCOL:
                    self._transport.kill()
                    return found + self.closed(_other_protocol(event))
            job = self.jobs.get(getattr(event, "job", None) or "")
            if job is not None:
                job.take(event)
        return found

    def tick(self) -> list[Event]:
        """Ping the worker and look after it; to be called a few times a second.

        Returns:
            How jobs ended that the worker can say nothing of any more.
        """
        now = self._clock()
        if not self.alive:
            return []
        if any(job.end is None and job.deadline is not None and now >= job.deadline for job in self.jobs.values()):
            return self._end("it did not stop when it was asked to")
        if now - self._heard >= self._dead_after:
            return self._end(f"it sent nothing for {self._dead_after:.0f} s")
        if now - self._pinged >= PING_EVERY:
            self._pinged = now
            self._send(requests.PING, {})
        return []

    def closed(self, error: WireError | None = None) -> list[Event]:
        """Take note that the worker is gone, and return how its jobs ended.

        Args:
            error: Why; by default it has ended unexpectedly.
        """
        if self.lost is None:
            self.lost = error or WireError("The worker has ended unexpectedly.", todo=_AGAIN)
        found: list[Event] = []
        for job in self.jobs.values():
            if job.end is not None:
                continue
            event: Event = events.Failed.of(job.id, self.lost)
            if job.deadline is not None:
                event = events.Cancelled(job.id, kept=job.wish == "pause")
            job.take(event)
            found.append(event)
        return found

    def _end(self, reason: str) -> list[Event]:
        self._transport.kill()
        return self.closed(WireError(f"The worker was ended, because {reason}.", todo=_AGAIN))

    def _send(self, verb: str, arguments: Json, expected: Mapping[str, float] | None = None) -> str:
        self._count += 1
        request = requests.Request(str(self._count), verb, arguments, dict(expected or {}))
        self._transport.write(f"{requests.encode(request)}\n".encode("ascii"))
        return request.id


_AGAIN = "Start it again; a step continues from its last checkpoint, corrections from their last round."


def _other_protocol(hello: events.Hello) -> WireError:
    newer = hello.protocol > events.PROTOCOL
    return WireError(
        f"The worker of version {hello.version} speaks protocol {hello.protocol}, not {events.PROTOCOL}.",
        f"The library that it belongs to is {'newer' if newer else 'older'} than this front end.",
        "Install the same version of both, then restart.",
    )
