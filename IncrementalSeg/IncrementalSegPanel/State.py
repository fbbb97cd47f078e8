"""The states of the panel, the page that each shows, and the ways between them."""

from __future__ import annotations

from enum import Enum


class State(Enum):
    """Activity of the panel; the value says it in words and names the page that shows it."""

    NOTHING_INSTALLED = ("nothing installed", "EnvironmentPage")
    RESTART_NEEDED = ("restart needed", "EnvironmentPage")
    UNSUPPORTED = ("unsupported", "EnvironmentPage")
    NO_MODEL = ("no model", "ModelPage")
    ADOPTING = ("adopting a model", "AdoptPage")
    READY = ("ready", "SegmentPage")
    SEGMENTING = ("segmenting", "SegmentPage")
    DONE = ("done", "SegmentPage")
    CORRECTING = ("correcting", "CorrectPage")
    COLLECTING = ("collecting examples", "ExamplesPage")
    SUMMARY = ("summary", "SummaryPage")
    TEACHING = ("teaching", "TeachingPage")
    COMPARING = ("comparing", "ComparePage")
    REVIEWING = ("reviewing exemplars", "ExemplarsPage")

    @property
    def page(self) -> str:
        """Name of the page."""
        return self.value[1]

    @property
    def busy(self) -> bool:
        """Whether work would be lost if it ended now."""
        return self in (State.SEGMENTING, State.TEACHING)


_ENVIRONMENT = {State.NOTHING_INSTALLED, State.RESTART_NEEDED, State.UNSUPPORTED}
_IDLE = {State.NO_MODEL, State.READY}

_WAYS: dict[State, set[State]] = {
    State.NOTHING_INSTALLED: _ENVIRONMENT | _IDLE,
    State.RESTART_NEEDED: _ENVIRONMENT | _IDLE,
    State.UNSUPPORTED: _ENVIRONMENT | _IDLE,
    State.NO_MODEL: _ENVIRONMENT | {State.READY, State.ADOPTING, State.COLLECTING, State.TEACHING, State.COMPARING},
    State.ADOPTING: _IDLE,
    State.READY: _ENVIRONMENT
    | {State.NO_MODEL, State.SEGMENTING, State.CORRECTING, State.COLLECTING, State.COMPARING, State.REVIEWING}
    | {State.ADOPTING, State.TEACHING},
    State.SEGMENTING: _IDLE | {State.DONE},
    State.DONE: _IDLE | {State.SEGMENTING, State.CORRECTING, State.COLLECTING, State.COMPARING, State.REVIEWING},
    State.CORRECTING: _IDLE | {State.COMPARING},
    State.COLLECTING: _IDLE | {State.SUMMARY},
    State.SUMMARY: _IDLE | {State.COLLECTING, State.TEACHING},
    State.TEACHING: _IDLE | {State.SUMMARY, State.COMPARING},
    State.COMPARING: _IDLE | {State.SUMMARY, State.REVIEWING},
    State.REVIEWING: _IDLE | {State.COMPARING},
}


def allowed(start: State, end: State) -> bool:
    """Return whether the panel may go from one state to another; staying is always allowed."""
    return start is end or end in _WAYS[start]
