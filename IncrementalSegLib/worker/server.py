"""The front of the worker: reads requests, answers pings and wishes at once, and ends with its front end."""

from __future__ import annotations

import os
import threading
import time
from typing import get_args

import IncrementalSegLib
from IncrementalSegLib.errors import IncrementalSegError, OptionError
from IncrementalSegLib.progress import Wish
from IncrementalSegLib.wire import events, requests
from IncrementalSegLib.wire.requests import Request
from IncrementalSegLib.worker.channel import Channel
from IncrementalSegLib.worker.compute import Compute

BEAT = 1.0
"""Seconds between two heartbeats."""

PATIENCE = 600
"""Heartbeats of silence from the front end after which the worker ends.

Counted, not timed, so that a computer that slept is not mistaken for a dead front end.  Long, because a front
end may be busy for minutes; that its process has died or closed the pipe is noticed at once.
"""

GRACE = 4.0
"""Seconds that a job has to write a checkpoint when the front end is gone."""


DRAIN = 2.0
"""Seconds without a byte taken after which nobody reads what is still to be said."""


class Server:
    """Serve one front end until it goes.

    Args:
        channel: The wire.
        patience: Heartbeats of silence after which the front end counts as gone.
    """

    def __init__(self, channel: Channel, patience: int = PATIENCE) -> None:
        self._channel, self._patience = channel, patience
        self._compute = Compute(channel.send)
        self._silence = 0

    def run(self) -> None:
        """Serve; returns when the front end has asked for the end or is gone."""
        self._channel.send(events.Hello(IncrementalSegLib.__version__, events.PROTOCOL, os.getpid()))
        self._compute.start()
        threading.Thread(target=self._beat, args=(os.getppid(),), name="heartbeat", daemon=True).start()
        for line in self._channel.lines():
            self._silence = 0
            if not self._take(line):
                self._compute.finish()
                break
        else:
            self._compute.abandon(GRACE)
        self._channel.drain(DRAIN)

    def _take(self, line: str) -> bool:
        """Do what a line asks; ``False`` where it asks for the end."""
        name = None
        try:
            request = requests.decode(line)
            name = request.id
            match request.verb:
                case requests.SHUTDOWN:
                    return False
                case requests.PING:
                    self._channel.send(events.Heartbeat())
                case requests.CANCEL:
                    self._cancel(request)
                case _:
                    self._compute.add(request)
        except IncrementalSegError as error:
            self._channel.send(events.Failed.of(name, error))
        return True

    def _cancel(self, request: Request) -> None:
        job, wish = request.arguments.get("job"), request.arguments.get("wish", "discard")
        if wish not in get_args(Wish):
            raise OptionError(f"The wish {wish!r} is unknown.", todo=f"Use {', '.join(get_args(Wish))}.")
        self._compute.cancel(str(job), wish)

    def _beat(self, parent: int) -> None:
        """Tell the front end that this process lives, and end it when the front end is gone."""
        while os.getppid() == parent and self._silence < self._patience:
            time.sleep(BEAT)
            self._silence += 1
            self._channel.send(events.Heartbeat())
        self._compute.abandon(GRACE)
        os._exit(1)  # the main thread still waits for a line
