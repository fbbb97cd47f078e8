"""The phases of long work: keys that go over the wire, and the words that people read."""

from __future__ import annotations

from enum import StrEnum

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


_WORDS = {
    Phase.STARTING: "Starting",
    Phase.LOADING: "Loading the model",
    Phase.READING: "Reading",
    Phase.CHECKING: "Checking",
    Phase.SURVEYING: "Looking at the scans",
    Phase.MEASURING: "Trying a few steps",
    Phase.PREPARING: "Preparing",
    Phase.TRAINING: "Learning",
    Phase.REMEMBERING: "Choosing what to remember",
    Phase.CHECKING_OLD: "Checking old structures",
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
