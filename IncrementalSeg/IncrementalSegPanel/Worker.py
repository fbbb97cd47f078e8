"""The process that computes: started when it is first needed, looked after by the event loop of the main thread."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path

import qt

from IncrementalSegLib.errors import WireError
from IncrementalSegLib.types import Json
from IncrementalSegLib.wire.client import Client, Job
from IncrementalSegLib.wire.events import Event
from IncrementalSegPanel.WorkerProcess import WorkerProcess

TICK = 100
"""Milliseconds between two looks at the worker."""

IDLE = 600.0
"""Seconds without work after which the worker is let go; the next request starts another one."""

LATE = 1.0
"""Seconds between two looks from which on Slicer itself was busy, or the computer slept."""

GRACE = 6.0
"""Seconds that the worker has to write a checkpoint when Slicer ends; it takes 4 at most."""

BRIEF = 0.5
"""Seconds for a worker without such work: nobody waits for what it does now, and being killed harms no model."""

_LEARNING = ("learn", "resume")

_LAST_LINES = 50
_LAST_BYTES = 2**16


class Worker:
    """Talk to one worker process at a time; everything happens on the main thread, and nothing waits.

    Args:
        log: File for what the worker and its libraries say.
        command: Program and arguments; by default a worker of Slicer's own Python.
        idle: Seconds without work after which the process is let go.
        clock: Seconds.
    """

    def __init__(
        self,
        log: Path,
        command: tuple[str, ...] | None = None,
        idle: float = IDLE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log, self._command, self._idle, self._clock = log, command, idle, clock
        self._link: _Link | None = None
        self._leaving: list[_Link] = []
        self._used = self._looked = clock()
        self._timer = qt.QTimer()
        self._timer.setInterval(TICK)
        self._timer.connect("timeout()", self._tick)

    @property
    def busy(self) -> bool:
        """Whether a job has not ended."""
        return self._link is not None and self._link.busy

    def submit(
        self,
        verb: str,
        arguments: Json,
        listener: Callable[[Event], None],
        expected: Mapping[str, float] | None = None,
    ) -> Job:
        """Ask for something; starts a process where none is running.

        Args:
            verb: What to do (docs/wire.md).
            arguments: By name.
            listener: Receives the events of this job on the main thread; the last one says how it ended.
            expected: Seconds that each part takes, where that was estimated.

        Returns:
            What is known of the job.

        Raises:
            WireError: No worker can be started.
        """
        self.warm()
        assert self._link is not None
        self._used = self._clock()
        return self._link.submit(verb, arguments, listener, expected)

    def cancel(self, job: Job, wish: str) -> None:
        """End a job early: ``keep``, ``pause`` or ``discard``; nothing happens to a job that has ended."""
        if self._link is not None and self._link.client.jobs.get(job.id) is job:  # ids begin anew with each process
            self._link.client.cancel(job.id, wish)

    def warm(self) -> None:
        """Start the process now where none is running, so that the first request need not wait for it."""
        if self._link is not None and not self._link.client.alive:
            self._leaving.append(self._link)  # it may be telling its end just now
            self._link = None
        if self._link is None:
            self._link = _Link(WorkerProcess(self._log, self._command))
            self._used = self._clock()
            self._timer.start()

    def lastLines(self) -> str:
        """Return the last lines of the worker's log."""
        try:
            with self._log.open("rb") as file:
                file.seek(0, 2)
                file.seek(max(0, file.tell() - _LAST_BYTES))
                text = file.read().decode("utf-8", "replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-_LAST_LINES:])

    def shutdown(self) -> None:
        """End the process; a step that is being learned writes a checkpoint first, and nobody hears of it."""
        self._timer.stop()
        for link in (self._link, *self._leaving):
            if link is not None:
                link.process.close(GRACE if link.learning else BRIEF)
        self._link, self._leaving = None, []

    def _tick(self) -> None:
        now, before = self._clock(), self._looked
        self._looked = now
        if now - before > LATE:  # the worker was not silent: what it has said meanwhile is heard first
            return
        self._leaving = [link for link in self._leaving if link.process.running]
        link = self._link
        if link is None:
            if not self._leaving:
                self._timer.stop()
            return
        link.tick()
        if self._link is not link:  # it was ended, and a listener has asked another one
            return
        if link.busy:
            self._used = now
        elif not link.client.alive or now - self._used >= self._idle:
            link.process.release()
            self._leaving.append(link)
            self._link = None


class _Link:
    """One process, its client, and who listens to which of its jobs."""

    def __init__(self, process: WorkerProcess) -> None:
        self.process, self.client = process, Client(process)
        self._listeners: dict[str, Callable[[Event], None]] = {}
        self._heard: deque[Event] = deque()
        process.start(self._arrived, self._ended)

    @property
    def busy(self) -> bool:
        return bool(self._heard) or any(job.end is None for job in self.client.jobs.values())

    @property
    def learning(self) -> bool:
        return any(job.end is None and job.verb in _LEARNING for job in self.client.jobs.values())

    def submit(
        self,
        verb: str,
        arguments: Json,
        listener: Callable[[Event], None],
        expected: Mapping[str, float] | None,
    ) -> Job:
        job = self.client.submit(verb, arguments, expected)
        self._listeners[job.id] = listener
        return job

    def tick(self) -> None:
        self._tell(self.client.tick())

    def _arrived(self, data: bytes) -> None:
        events = self.client.feed(data)
        if self.client.hello is not None:
            self.process.pid = self.client.hello.pid
        self._tell(events)

    def _ended(self, why: WireError) -> None:
        self._tell(self.client.closed(why))

    def _tell(self, events: list[Event]) -> None:
        """Tell the listeners; where one of them raises, the others hear the rest at the next tick."""
        self._heard.extend(events)
        while self._heard:
            event = self._heard.popleft()
            listener = self._listeners.get(getattr(event, "job", None) or "")
            if listener is not None:
                listener(event)
