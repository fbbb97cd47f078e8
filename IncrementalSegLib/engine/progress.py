"""How long work reports where it is; the CLI draws it, the worker sends it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, Protocol

Wish = Literal["keep", "pause", "discard"]
"""``keep``: end training now and go on with the best weights so far; ``pause``: write a checkpoint that
``learn --resume`` continues; ``discard``: leave nothing behind."""


class Stop(Exception):  # noqa: N818  (nothing is wrong when a person stops)
    """Raised by a :class:`Progress` to end work early.

    Args:
        wish: What shall become of a step that has begun; other work just ends.

    Attributes:
        kept: Whether what was done so far is kept; a step that has no checkpoint yet says ``False``.
    """

    def __init__(self, wish: Wish) -> None:
        super().__init__(wish)
        self.wish: Wish = wish
        self.kept = wish != "discard"


class Progress(Protocol):
    """Receive progress; may raise to end the work, :class:`Stop` to say how."""

    def __call__(self, phase: str, fraction: float, numbers: Mapping[str, float] | None = None) -> None:
        """Take note.

        Args:
            phase: A key of :class:`IncrementalSegLib.progress.Phase`; tools of developers may send other texts.
            fraction: Share of the phase done, 0..1; see :class:`IncrementalSegLib.progress.JobProgress` for the whole.
            numbers: Named numbers worth showing, for example ``{"dice": 0.91}``.
        """


class OnLook(Protocol):
    """Receive what was seen; may raise to end the training."""

    def __call__(
        self,
        fraction: float,
        dice: Mapping[str, float],
        worst: tuple[str, float] | None,
        pictures: Mapping[str, tuple[str, str]],
    ) -> None:
        """Take note.

        Args:
            fraction: Share of the schedule done, 0..1.
            dice: New structure -> Dice 0..1 on the cases set aside; without any: empty.
            worst: The old structure that lost most, and its change in points of Dice against the version in use.
            pictures: New structure -> file and what it shows, where there is a new one.
        """


def silent(phase: str, fraction: float, numbers: Mapping[str, float] | None = None) -> None:
    """Report nothing."""


def part(progress: Progress, phase: str, begin: float = 0.0, end: float = 1.0) -> Callable[[float, str], None]:
    """Return a callback ``(fraction, phrase)`` for a tool that knows nothing of phases.

    Args:
        progress: Receives the progress.
        phase: The phase.
        begin: Share of the phase that is done when the tool begins.
        end: Share that is done when it ends.
    """

    def report(fraction: float, phrase: str) -> None:
        progress(phase, begin + (end - begin) * fraction)

    return report


def going_on(progress: Progress) -> Progress:
    """Return a progress for what follows the training, where "keep" asks for nothing more."""

    def report(phase: str, fraction: float, numbers: Mapping[str, float] | None = None) -> None:
        try:
            progress(phase, fraction, numbers)
        except Stop as stop:
            if stop.wish != "keep":
                raise

    return report


def duration(seconds: float) -> str:
    """Return seconds as people say them: ``45 s``, ``12 min``, ``3.5 h``, ``9 days``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.0f} days"
