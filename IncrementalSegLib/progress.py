"""Progress of long work: its phases, their words, and the callbacks that receive them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Literal, Protocol

_DETAIL = ": "


class Phase(StrEnum):
    """A phase, with its key on the wire; :func:`phrase` gives its words."""

    STARTING = "starting"
    LOADING = "loading"
    READING = "reading"
    CHECKING = "checking"
    SURVEYING = "surveying"
    MEASURING = "measuring"
    PREPARING = "preparing"
    TRAINING = "training"
    REMEMBERING = "remembering"
    CHECKING_OLD = "checking_old"
    SAVING = "saving"
    SEGMENTING = "segmenting"
    DRAWING = "drawing"

    def of(self, detail: str) -> str:
        """Return the phase of one thing among several, for example of one scan."""
        return f"{self.value}{_DETAIL}{detail}"


class EstimatePart(StrEnum):
    """A part of the estimate of a step, with its key on the wire."""

    READING = "reading"
    PREPARING = "preparing"
    LEARNING = "learning"
    SCORING = "scoring"
    CHECKPOINTS = "checkpoints"
    REMEMBERING = "remembering"
    JUDGING = "judging"
    SAVING = "saving"


_WORDS = {
    Phase.STARTING: "Starting",
    Phase.LOADING: "Loading the model",
    Phase.READING: "Reading",
    Phase.CHECKING: "Checking",
    Phase.SURVEYING: "Looking at the scans",
    Phase.MEASURING: "Trying a few steps",
    Phase.PREPARING: "Preparing",
    Phase.TRAINING: "Learning",
    Phase.REMEMBERING: "Preparing later steps",
    Phase.CHECKING_OLD: "Checking older structures",
    Phase.SAVING: "Saving",
    Phase.SEGMENTING: "Segmenting",
    Phase.DRAWING: "Drawing",
}


def split(phase: str) -> tuple[str, str]:
    """Return the key of a phase and the thing that it is about; the latter may be empty.

    Example:
        >>> split(Phase.SEGMENTING.of("scan_3")), split("training")
        (('segmenting', 'scan_3'), ('training', ''))
    """
    key, _, detail = phase.partition(_DETAIL)
    return (key, detail) if key in _WORDS else (phase, "")


def phrase(phase: str) -> str:
    """Return a phase in English; a text that is no phase is returned as it is.

    Example:
        >>> phrase(Phase.TRAINING), phrase(Phase.SEGMENTING.of("scan_3")), phrase("Making scans")
        ('Learning', 'Segmenting scan_3', 'Making scans')
    """
    key, detail = split(phase)
    if key not in _WORDS:
        return phase
    return f"{_WORDS[Phase(key)]} {detail}".rstrip()


def rounded(seconds: float) -> tuple[float, Literal["s", "min", "h", "days"]]:
    """Return a duration as coarse as its uncertainty; less than 5 s are 0.

    Example:
        >>> rounded(3), rounded(43), rounded(380), rounded(1490), rounded(7300)
        ((0, 's'), (45, 's'), (6, 'min'), (25, 'min'), (2.0, 'h'))
    """
    if seconds < 5:
        return 0, "s"
    if seconds < 57.5:
        return 5 * round(seconds / 5), "s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return minutes if minutes <= 20 else 5 * round(minutes / 5), "min"
    hours = round(seconds / 1800) / 2
    return (hours, "h") if hours < 48 else (round(hours / 24), "days")


def about(seconds: float) -> str:
    """Return a duration in English.

    Example:
        >>> about(3), about(43), about(7300)
        ('a few seconds', 'about 45 s', 'about 2 h')
    """
    number, unit = rounded(seconds)
    return f"about {number:g} {unit}" if number else "a few seconds"


def duration(seconds: float) -> str:
    """Return seconds as people say them: ``45 s``, ``12 min``, ``3.5 h``, ``9 days``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.0f} days"


Wish = Literal["keep", "pause", "discard"]
"""``keep``: end training now and keep the best weights so far; ``pause``: write a checkpoint that
``resume`` continues; ``discard``: leave nothing behind."""


class Stop(Exception):  # noqa: N818  (nothing is wrong when a person stops)
    """Raised by a :class:`Progress` to end work early.

    Args:
        wish: The fate of a step that has begun; other work just ends.

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
            phase: A key of :class:`Phase`; tools of developers may send other texts.
            fraction: Share of the phase done, 0..1; see ``JobProgress`` for the whole.
            numbers: Named numbers worth showing, for example ``{"dice": 0.91}``.
        """


class OnValidation(Protocol):
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
            dice: New structure -> Dice 0..1 on the held-out cases; without any: empty.
            worst: The old structure that lost most, and its change in points of Dice against the version in use.
            pictures: New structure -> file and what it shows, where there is a new one.
        """


def silent(phase: str, fraction: float, numbers: Mapping[str, float] | None = None) -> None:
    """Report nothing."""


class Share:
    """Receive the share of a piece of work that is done, 0..1; may raise to end the work.

    Args:
        tell: Called with the share; by default nobody is.

    Example:
        >>> told = []
        >>> second_half = Share(told.append).sub(0.5, 1)
        >>> second_half(0.5)
        >>> told
        [0.75]
    """

    def __init__(self, tell: Callable[[float], None] = lambda done: None) -> None:
        self._tell = tell

    @classmethod
    def of(cls, progress: Progress, phase: str) -> Share:
        """Return what receives the share of a phase."""
        return cls(lambda done: progress(phase, done))

    def __call__(self, done: float) -> None:
        """Take note."""
        self._tell(done)

    def sub(self, begin: float, end: float) -> Share:
        """Return what receives the share of a part, which begins and ends at these shares of the whole."""
        return Share(lambda done: self(begin + (end - begin) * done))


UNTOLD = Share()
"""Tells nobody."""


def going_on(progress: Progress) -> Progress:
    """Return a progress for what follows the training, where "keep" asks for nothing more."""

    def report(phase: str, fraction: float, numbers: Mapping[str, float] | None = None) -> None:
        try:
            progress(phase, fraction, numbers)
        except Stop as stop:
            if stop.wish != "keep":
                raise

    return report
