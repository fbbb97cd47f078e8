"""The one thread that computes: jobs in order, each with its events.

One thread for the whole life of the process, because the plans of cuDNN belong to the thread that made them.
"""

from __future__ import annotations

import inspect
import logging
import threading
import traceback
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from IncrementalSegLib.errors import explain
from IncrementalSegLib.progress import Phase, Stop, Wish
from IncrementalSegLib.types import Json
from IncrementalSegLib.wire import events
from IncrementalSegLib.wire.requests import Request
from IncrementalSegLib.worker.control import RunningJob
from IncrementalSegLib.worker.log import Log
from IncrementalSegLib.worker.verbs import call, resolve
from IncrementalSegLib.worker.warm import WarmModels


class Compute:
    """Do jobs one after the other.

    Args:
        send: Receives the events.
    """

    def __init__(self, send: Callable[[events.Event], None]) -> None:
        self._send = send
        self._waiting: deque[RunningJob] = deque()
        self._job: RunningJob | None = None
        self._closed = False
        self._changed = threading.Condition()
        self._log = Log(self._warn)
        self._thread = threading.Thread(target=self._run, name="compute", daemon=True)
        self._warm = WarmModels()

    def start(self) -> None:
        """Begin to take jobs."""
        logging.getLogger().addHandler(self._log)
        self._thread.start()

    def add(self, request: Request) -> None:
        """Do this after all that was asked before."""
        with self._changed:
            self._waiting.append(RunningJob(request, self._send))
            self._changed.notify()

    def cancel(self, job: str, wish: Wish) -> None:
        """Acknowledge a wish; a job that waits ends at once, the one that runs at its next progress."""
        with self._changed:
            waiting = next((item for item in self._waiting if item.request.id == job), None)
            running = self._job if self._job is not None and self._job.request.id == job else None
            if waiting is not None:
                self._waiting.remove(waiting)
            elif running is not None:
                running.wish = wish
            else:  # it has ended meanwhile
                return
        self._send(events.Cancelling(job))
        if waiting is not None:
            self._send(events.Cancelled(job, kept=False))

    def finish(self, timeout: float | None = None) -> None:
        """Take no more jobs and wait until those asked for are done."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(timeout)

    def abandon(self, timeout: float) -> None:
        """Drop what waits, ask what runs to pause, and wait for it."""
        with self._changed:
            self._waiting.clear()
            if self._job is not None:
                self._job.wish = "pause"
        self.finish(timeout)

    def _run(self) -> None:
        while (job := self._next()) is not None:
            end = self._do(job)
            with self._changed:  # from here on a wish comes too late
                self._job = None
            self._send(end)

    def _next(self) -> RunningJob | None:
        """Wait for a job, load the libraries that it needs, and take it unless it was cancelled meanwhile."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                if not self._waiting:
                    return None
                job = self._waiting[0]
            job(Phase.STARTING, 0.0)
            with suppress(Exception):  # said when the job is done
                resolve(job.request.verb)
            with self._changed:
                if self._waiting and self._waiting[0] is job:
                    self._job = self._waiting.popleft()
                    return job

    def _do(self, job: RunningJob) -> events.Event:
        name = job.request.id
        try:
            return events.Finished(name, self._call(job))
        except Stop as stop:
            return events.Cancelled(name, kept=stop.kept)
        except (Exception, SystemExit) as error:
            report = "".join(traceback.format_exception(error)) + "\n" + self._log.tail()
            return events.Failed.of(name, explain(error), report)

    def _call(self, job: RunningJob) -> Json:
        request = job.request
        parameters = inspect.signature(resolve(request.verb)).parameters
        if "device" in parameters and "loader" not in parameters:
            self._warm.clear()  # it needs the memory
        given = {
            "progress": job,
            "loader": self._warm.loader(job),
            "on_result": job.reporter.result,
            "on_validation": job.reporter.on_validation,
        }
        return call(request.verb, request.arguments, given)

    def _warn(self, text: str) -> None:
        job = self._job
        self._send(events.Warned(None if job is None else job.request.id, text))
