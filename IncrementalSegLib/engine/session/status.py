"""State of a correction session, for people and front ends."""

from __future__ import annotations

from dataclasses import dataclass

from IncrementalSegLib.types import Json


@dataclass(frozen=True)
class SessionStatus:
    """State of a session.

    Attributes:
        parent: The version that it began from, or would begin from.
        method: How it learns; ``None`` where no session is open.
        candidate: The version that holds what was learned and is neither in use nor rejected.
        rounds: Rounds that count: those undone do not.
        undoable: Rounds that can be undone.
        scans: One JSON object per scan, from the oldest: ``scan``, ``rounds``, ``voxels`` under strokes, and
            ``agreement``, for each structure the Dice of the first outline with the last one.
    """

    parent: int
    method: str | None
    rounds: int
    undoable: int
    scans: tuple[Json, ...]
    candidate: int | None = None

    def to_json(self) -> Json:
        """Return the object that ``correct --session status --json`` prints."""
        return vars(self) | {"scans": list(self.scans)}
