"""The share of a job that is done, and the time that the rest takes, from the progress of its phases."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping

from IncrementalSegLib.progress import EstimatePart, Phase, split

USUAL: dict[str, dict[str, float]] = {
    "learn": {
        Phase.READING: 4,
        Phase.PREPARING: 2,
        Phase.TRAINING: 80,
        Phase.REMEMBERING: 8,
        Phase.CHECKING_OLD: 4,
        Phase.SAVING: 2,
    },
    "segment": {Phase.LOADING: 10, Phase.SEGMENTING: 90},
    "spots": {Phase.LOADING: 5, Phase.SEGMENTING: 95},
    "suggest": {Phase.LOADING: 5, Phase.SEGMENTING: 95},
    "correct": {Phase.LOADING: 5, Phase.SEGMENTING: 95},
    "keep_corrections": {Phase.LOADING: 5, Phase.CHECKING_OLD: 90, Phase.SAVING: 5},
    "evaluate": {Phase.LOADING: 5, Phase.CHECKING: 95},
    "gate": {Phase.LOADING: 5, Phase.CHECKING_OLD: 95},
    "compare_pictures": {Phase.LOADING: 10, Phase.DRAWING: 90},
    "estimate": {Phase.READING: 5, Phase.MEASURING: 95},
    "advise": {Phase.SURVEYING: 100},
    "check": {Phase.CHECKING: 100},
    "remember": {Phase.READING: 20, Phase.REMEMBERING: 80},
}
"""Job -> its phases in order, and the percentage of the time that each usually takes."""

USUAL["resume"] = USUAL["learn"]

PARTS: dict[EstimatePart, Phase] = {
    EstimatePart.READING: Phase.READING,
    EstimatePart.PREPARING: Phase.PREPARING,
    EstimatePart.LEARNING: Phase.TRAINING,
    EstimatePart.SCORING: Phase.TRAINING,
    EstimatePart.CHECKPOINTS: Phase.TRAINING,
    EstimatePart.REMEMBERING: Phase.REMEMBERING,
    EstimatePart.JUDGING: Phase.CHECKING_OLD,
    EstimatePart.SAVING: Phase.SAVING,
}
"""Part of an estimate -> the phase of the step that it belongs to."""

_MEASURED, _TRUSTED = 0.02, 0.1
"""Share of a phase after which its speed is measured, and after which an estimate counts no longer."""

_RISE = 0.2
"""Seconds by which the time left may rise in a second."""


class JobProgress:
    """Share done and time left of a whole job, from the progress of its phases.

    The phases are weighted by the time that they are expected to take. The share that is done never falls, and the
    time left rises slowly at most. It is known from the start where an estimate is; otherwise from when the longest
    phase has been measured. A phase that is not expected is part of the one before.

    Args:
        job: Name of the command or verb. Of one that is not in :data:`USUAL` each phase counts as a job of its own.
        expected: Part of an estimate -> seconds; parts that are missing take none.
        clock: Seconds.

    Attributes:
        phase: The phase under way.
        fraction: Share of the job that is done, 0..1.
        left: Seconds that the rest takes, or ``None`` while unknown.

    Example:
        >>> job = JobProgress("learn", {"reading": 10, "learning": 90})
        >>> job.update(Phase.TRAINING, 0.5)
        >>> job.fraction, round(job.left)
        (0.55, 45)
    """

    def __init__(
        self, job: str = "", expected: Mapping[str, float] | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock, self._alone = clock, job not in USUAL
        usual, seconds = USUAL.get(job, {}), _by_phase(expected or {})
        if any(phase in usual for phase in seconds):
            self._begin({phase: seconds.get(phase, 0.0) for phase in usual}, 1.0)
        else:
            self._begin(usual)

    def _begin(self, weights: Mapping[str, float], rate: float | None = None) -> None:
        """Begin a job.

        Args:
            weights: Phase -> share of the time, in any unit.
            rate: Seconds of a unit, where they are known.
        """
        self.phase: str = Phase.STARTING
        self.fraction = 0.0
        self.left: float | None = None
        self._phases, self._weights, self._total = list(weights), list(weights.values()), sum(weights.values())
        self._rate = rate
        self._place, self._share, self._first, self._entered = -1, 0.0, 0.0, 0.0
        self._shown = 0.0

    def update(self, phase: str, fraction: float) -> None:
        """Take note of the share of a phase that is done, 0..1."""
        key, _detail = split(phase)
        if self._alone and key != Phase.STARTING and key not in self._phases:
            self._begin({key: 1.0})
        now = self._clock()
        place = self._phases.index(key) if key in self._phases else -1
        entered = place > self._place
        if entered:
            if self._longest:
                self._rate = self._speed(now)
            self._place, self._share, self._first, self._entered = place, fraction, fraction, now
        if place == self._place:  # also where nothing of the job has begun
            self.phase, self._share = phase, max(self._share, fraction)
        self.fraction = max(self.fraction, self._done())
        self._show(self._remaining(now), now, entered)

    @property
    def _weight(self) -> float:
        return self._weights[self._place] if self._place >= 0 else 0.0

    @property
    def _longest(self) -> bool:
        """Whether the phase under way tells how fast the others will be."""
        return self._weight >= 0.5 * self._total > 0

    def _done(self) -> float:
        before = sum(self._weights[: max(0, self._place)])
        return (before + self._weight * self._share) / self._total if self._total else 0.0

    def _speed(self, now: float) -> float | None:
        """Return the seconds of a unit of weight in this phase: measured, mixed with what was expected."""
        share = self._share - self._first
        if share < _MEASURED or self._weight == 0:
            return self._rate
        measured = (now - self._entered) / (self._weight * share)
        trust = min(1.0, share / _TRUSTED)
        return measured if self._rate is None else trust * measured + (1 - trust) * self._rate

    def _remaining(self, now: float) -> float | None:
        speed = self._speed(now)
        later = speed if self._longest else self._rate
        if speed is None or later is None:
            return None
        return speed * self._weight * (1 - self._share) + later * sum(self._weights[self._place + 1 :])

    def _show(self, left: float | None, now: float, entered: bool) -> None:
        """Approach the time left smoothly; only a phase that ended early may take much away at once."""
        if left is not None and self.left is not None and not (entered and left < self.left):
            passed = now - self._shown
            awaited = max(0.0, self.left - passed)
            part = 1 - math.exp(-passed / (1 + 0.1 * awaited))
            left = min(awaited + part * (left - awaited), self.left + _RISE * passed)
        self.left, self._shown = left, now


def _by_phase(expected: Mapping[str, float]) -> dict[str, float]:
    """Return the seconds of each phase from those of the parts of an estimate."""
    seconds: dict[str, float] = {}
    for part, value in expected.items():
        if part in set(EstimatePart) and 0 < value < math.inf:
            phase = PARTS[EstimatePart(part)]
            seconds[phase] = seconds.get(phase, 0.0) + value
    return seconds
