"""From the library's progress to events: at most ten a second, with the progress of the whole job."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping

from IncrementalSegLib.progress import split
from IncrementalSegLib.wire.events import Event, Metric, Preview, Progressed
from IncrementalSegLib.wire.timing import JobProgress

EVERY = 0.1
"""Seconds between two events of the same phase, and between two points of the same series."""


class Reporter:
    """Receive progress and send events; fits ``IncrementalSegLib.progress.Progress``.

    What comes too soon after another is not lost: the next event carries its numbers.

    Args:
        job: Id of the job.
        send: Receives the events.
        clock: Seconds.
        verb: What the job does.
        expected: Part of an estimate -> seconds, where the job was estimated.
    """

    def __init__(
        self,
        job: str,
        send: Callable[[Event], None],
        clock: Callable[[], float] = time.monotonic,
        *,
        verb: str = "",
        expected: Mapping[str, float] | None = None,
    ) -> None:
        self.job, self._send, self._clock = job, send, clock
        self._whole = JobProgress(verb, expected, clock)
        self._phase: str | None = None
        self._sent = -math.inf
        self._numbers: dict[str, float | None] = {}
        self._points: dict[str, float] = {}

    def __call__(self, phase: str, fraction: float, numbers: Mapping[str, float] | None = None) -> None:
        """Take note of progress."""
        now = self._clock()
        fraction = min(1.0, max(0.0, fraction)) if math.isfinite(fraction) else 0.0
        if phase != self._phase:
            self._phase, self._sent = phase, -math.inf
            self._numbers, self._points = {}, {}
        self._whole.update(phase, fraction)
        for name, value in (numbers or {}).items():
            self._numbers[name] = value
            if now - self._points.get(name, -math.inf) >= EVERY:
                self._points[name] = now
                self._send(Metric(self.job, name, value, split(phase)[0], fraction))
        if fraction == 1.0 or now - self._sent >= EVERY:
            self._sent = now
            whole, (key, detail) = self._whole, split(self._whole.phase)
            left = None if whole.left is None else round(whole.left, 1)
            self._send(Progressed(self.job, key, round(whole.fraction, 4), left, dict(self._numbers), detail))

    def result(self, path: str, caption: str, millilitres: Mapping[str, float]) -> None:
        """Send a segmentation that has been written and the volume of each structure in it."""
        for name, value in millilitres.items():
            self._send(Metric(job=self.job, name="ml", value=value, phase=caption, fraction=1.0, structure=name))
        self._send(Preview(self.job, "segmentation", path, caption))

    def on_validation(
        self,
        fraction: float,
        dice: Mapping[str, float],
        worst: tuple[str, float] | None,
        pictures: Mapping[str, tuple[str, str]],
    ) -> None:
        """Send a validation during training: Dice of new structures, the worst change of an old one, pictures."""
        phase, _ = split(self._phase or "")
        for name, value in dice.items():
            self._send(Metric(job=self.job, name="dice", value=value, phase=phase, fraction=fraction, structure=name))
        if worst is not None:
            name, points = worst
            self._numbers["worst_change"] = points
            self._send(
                Metric(job=self.job, name="worst_change", value=points, phase=phase, fraction=fraction, structure=name)
            )
        for name, (path, caption) in pictures.items():
            self._send(Preview(self.job, "learning", path, caption, name))
