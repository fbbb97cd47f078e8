"""Uncertain spots of a scan, and a correction session, as the worker tells of them."""

from __future__ import annotations

from dataclasses import dataclass

from IncrementalSegLib.structures import BACKGROUND
from IncrementalSegLib.types import Json
from IncrementalSegPanel.Translation import _
from IncrementalSegPanel.Wording import millilitres


@dataclass(frozen=True)
class Spot:
    """An uncertain place.

    Attributes:
        ras: A voxel in its middle, in millimetres, RAS.
        size: In words.
        uncertainty: Mean over the spot, 0..1.
        structures: Names of the two most probable, with their probabilities; the background is called so.
    """

    ras: tuple[float, float, float]
    size: str
    uncertainty: float
    structures: dict[str, float]

    @classmethod
    def of(cls, item: Json) -> Spot:
        """Read one spot of the verb ``outline``."""
        left, posterior, superior = item["centre"]
        size = millilitres(item["size"]) if item["unit"] == "ml" else _("{} mm²").format(f"{item['size']:.3g}")
        return cls((-left, -posterior, superior), size, item["uncertainty"], dict(item["structures"]))

    @property
    def question(self) -> str:
        """The structures in question."""
        names = [_("background") if name == BACKGROUND else name for name in self.structures]
        return _(" or ").join(names)

    @property
    def reason(self) -> str:
        """The mean uncertainty, and the probabilities."""
        shares = ", ".join(f"{name} {share:.2f}" for name, share in self.structures.items())
        return _("Mean uncertainty {uncertainty:.2f}; probability: {shares}.").format(
            uncertainty=self.uncertainty, shares=shares
        )


@dataclass(frozen=True)
class SessionScan:
    """A scan of a session.

    Attributes:
        name: Its name.
        rounds: Rounds so far.
        voxels: Voxels under strokes.
        agreement: Mean Dice of the first outlines with the last ones, 0..1; ``None`` where all are empty.
    """

    name: str
    rounds: int
    voxels: int
    agreement: float | None

    @classmethod
    def of(cls, item: Json) -> SessionScan:
        """Read one scan of a session."""
        return cls(item["scan"], item["rounds"], item["voxels"], mean(item["agreement"]))


@dataclass(frozen=True)
class CorrectionStatus:
    """State of a correction session.

    Attributes:
        method: How it learns; empty where no session is open.
        rounds: Rounds that count.
        undoable: Rounds that can be undone.
        scans: From the oldest to the one of the last round.
        candidate: The version that holds what was learned; ``None`` where none does.
    """

    method: str = ""
    rounds: int = 0
    undoable: int = 0
    scans: tuple[SessionScan, ...] = ()
    candidate: int | None = None

    @classmethod
    def of(cls, status: Json) -> CorrectionStatus:
        """Read what ``corrections`` and the other verbs of a session answer."""
        scans = tuple(SessionScan.of(item) for item in status["scans"])
        return cls(status["method"] or "", status["rounds"], status["undoable"], scans, status.get("candidate"))

    @property
    def sentence(self) -> str:
        """The rounds and scans so far, in a sentence."""
        if not self.rounds:
            return _("Nothing is learned yet.")
        rounds = _("1 round") if self.rounds == 1 else _("{} rounds").format(self.rounds)
        scans = _("1 scan") if len(self.scans) == 1 else _("{} scans").format(len(self.scans))
        kept = _("not kept yet") if self.candidate is None else _("version {} is a candidate").format(self.candidate)
        return _("Learned from {rounds} on {scans} with {method}; {kept}.").format(
            rounds=rounds, scans=scans, method=self.method, kept=kept
        )


def mean(dice: Json) -> float | None:
    """Return the mean over the structures that have a Dice; ``None`` where none has."""
    known = [value for value in dice.values() if value is not None]
    return sum(known) / len(known) if known else None
