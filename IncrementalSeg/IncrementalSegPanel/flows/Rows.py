"""A scan that may teach: outlines of the scene, or a case of a data set."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from IncrementalSegLib.types import Json
from IncrementalSegPanel.Translation import _


@dataclass(frozen=True)
class ScanRow:
    """One scan that may teach.

    Attributes:
        scan: Its name.
        examples: Outlines in it of which one may be the structure; empty for a case of a data set.
        choice: Which of them, or ``None`` while that is unclear.
        ticked: Whether it is chosen for training.
        decided: Whether a person said so; else it follows from the name.
        refused: Why a case of a data set cannot teach; empty where it can.
        labels: What was looked for in a case of a data set.
        ml: Volume of the structure in a case of a data set; ``None`` while unknown.
        hints: What a person should know, as sentences.
        picture: A thumbnail of the outline, once there is one.
    """

    scan: str
    examples: tuple[Any, ...] = ()
    choice: int | None = None
    ticked: bool = False
    decided: bool = False
    refused: str = ""
    labels: tuple[str, ...] = ()
    ml: float | None = None
    hints: tuple[str, ...] = ()
    picture: Path | None = None

    @property
    def example(self) -> Any:
        """The outline that is chosen, or ``None``."""
        return None if self.choice is None else self.examples[self.choice]

    @property
    def pictured(self) -> Any:
        """The outline that the thumbnail shows: the chosen one, else the first; ``None`` for a case of a data set."""
        return self.example if self.choice is not None else next(iter(self.examples), None)

    @classmethod
    def ofScene(cls, examples: Sequence[Any]) -> ScanRow:
        """Return the row of a scan of the scene; which outline is meant is clear where there is one only."""
        return cls(examples[0].volumeName, tuple(examples), choice=0 if len(examples) == 1 else None)

    @classmethod
    def ofCase(cls, item: Json) -> ScanRow:
        """Return the row of a case, as ``check`` judges it."""
        refused = item["message"] if item["verdict"] == "refused" else ""
        hints = (item["message"],) if item["verdict"] == "warning" else ()
        return cls(item["case"], refused=refused, labels=tuple(item["structures"]), hints=hints)

    @property
    def key(self) -> tuple[str, str]:
        """The scan's identity in the scene."""
        return self.examples[0].volumeId, self.examples[0].segmentationId

    def after(self, other: ScanRow | None) -> ScanRow:
        """Return the row with what was chosen when the scene was looked at before; the picture is drawn anew."""
        ids = [example.segmentId for example in self.examples]
        if other is None or not other.decided or other.example is None or other.example.segmentId not in ids:
            return self
        chosen = replace(self, choice=ids.index(other.example.segmentId), decided=True)
        return replace(chosen, ticked=other.ticked and not chosen.obstacle(""))

    def obstacle(self, label: str) -> str:
        """Return why the scan cannot teach; empty where it can.

        Args:
            label: What the structure is called in a data set; empty while that is unclear.
        """
        if self.examples:
            asked = self.examples if self.example is None else (self.example,)
            return asked[0].obstacle if all(example.obstacle for example in asked) else ""
        if self.refused or not label or label in self.labels:
            return self.refused
        return _("{} was not looked for in this scan.").format(label)

    def guessed(self, name: str) -> ScanRow:
        """Return the row with the outline of that name chosen, where a person has decided nothing.

        What a person corrected comes before what a model made, which is not ticked: it would teach the model its own
        faults.
        """
        names = (name, _("{name} (corrected)").format(name=name))
        fitting = [number for number, item in enumerate(self.examples) if any(alike(item.name, one) for one in names)]
        if self.decided or not fitting:
            return self
        named = min(fitting, key=lambda number: self.examples[number].uncorrected)
        found = replace(self, choice=named, picture=self.picture if self.examples[named] is self.pictured else None)
        return replace(found, ticked=not found.obstacle("") and not uncorrected(found))


def uncorrected(row: ScanRow) -> bool:
    """Return whether the chosen outline of a scan was made by a model, and no person changed it."""
    return row.example is not None and row.example.uncorrected


def alike(one: str, other: str) -> bool:
    """Return whether two names mean the same, whatever their case, punctuation and order of words.

    Example:
        >>> alike("Kidney_left", "left kidney")
        True
    """
    plain = [unicodedata.normalize("NFC", name).casefold() for name in (one, other)]
    words = [sorted(re.findall(r"[^\W_]+", name)) for name in plain]
    return bool(words[0]) and words[0] == words[1]
