"""Seconds of each phase, and times as ratios of alternating pairs in one process.

Ratios hold on any machine; absolute times do not.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch

from IncrementalSegLib.progress import Progress, phrase
from IncrementalSegLib.types import Json


class Stopwatch:
    """Pass progress on under a label and measure the phases.

    Args:
        progress: Receives progress.
        label: What is being done.
    """

    def __init__(self, progress: Progress, label: str) -> None:
        self._progress, self._label = progress, label
        self._seconds: dict[str, float] = {}
        self._last = time.monotonic()

    def __call__(self, phase: str, fraction: float, numbers: Mapping[str, float] | None = None) -> None:
        """Count the time since the last call for this phase."""
        present, words = time.monotonic(), phrase(phase)
        self._seconds[words] = self._seconds.get(words, 0.0) + present - self._last
        self._last = present
        self._progress(f"{self._label}: {words}", fraction, numbers)

    def to_json(self) -> Json:
        """Return the phases, rounded, and their sum."""
        phases = {phase: round(seconds, 2) for phase, seconds in self._seconds.items()}
        return {"total": round(sum(self._seconds.values()), 2), "phases": phases}


@dataclass(frozen=True)
class Ratio:
    """Time of one thing over the time of another.

    Attributes:
        name: What is compared.
        limit: Largest ratio that is asked for, or ``None``.
        ratios: One per pair.
        seconds: Median seconds of both.
    """

    name: str
    limit: float | None
    ratios: tuple[float, ...]
    seconds: tuple[float, float]

    def to_json(self) -> Json:
        """Return median, quartiles and limit."""
        low, median, high = np.percentile(self.ratios, [25, 50, 75])
        return {
            "name": self.name,
            "median": round(float(median), 3),
            "quartiles": [round(float(low), 3), round(float(high), 3)],
            "limit": self.limit,
            "pairs": len(self.ratios),
            "seconds": [round(value, 4) for value in self.seconds],
        }


def compare(
    name: str, one: Callable[[], object], other: Callable[[], object], pairs: int, limit: float | None
) -> Ratio:
    """Time ``one`` against ``other`` in alternation, after a warm-up of each."""
    one(), other()
    times = [(duration(one), duration(other)) for _ in range(pairs)]
    medians = np.median(times, axis=0)
    return Ratio(name, limit, tuple(a / b for a, b in times), (float(medians[0]), float(medians[1])))


def duration(work: Callable[[], object]) -> float:
    """Return the seconds of a piece of work, with what it left to the GPU."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    began = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - began
