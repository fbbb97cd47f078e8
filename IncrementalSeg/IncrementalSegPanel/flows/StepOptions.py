"""The options of a step: its method with options, and the settings that every method shares."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from IncrementalSegLib.types import Json
from IncrementalSegPanel.documents.Options import Answers, Field, fieldsOf

SETTINGS = ("preset", "steps", "seed", "limits.harm", "limits.mean", "device")
"""The settings that a person is asked for; what they are called and can be stands in the schema of the worker."""

FIRST = ("network",)
"""The same of a model's first step alone."""


def settingsOf(schema: Json, first: bool) -> tuple[Field, ...]:
    """Return the fields of the settings that a person is asked for."""
    known = {item.name: item for item in fieldsOf(schema)}
    return tuple(known[name] for name in (SETTINGS + FIRST if first else SETTINGS) if name in known)


@dataclass
class StepOptions:
    """Options of a step; those that a person left alone are not sent, so that the worker's defaults count.

    Attributes:
        method: Registered name, or ``None``: the recommended one.
        exemplars: ``keep`` some slices of the scans in the model, or ``none``.
        settings: What every method shares.
        options: Of the method.
    """

    method: str | None = None
    exemplars: str = "keep"
    settings: Answers = field(default_factory=Answers)
    options: Answers = field(default_factory=Answers)

    def chooseMethod(self, name: str | None) -> None:
        """Choose a method, with its own options untouched."""
        if name != self.method:
            self.method, self.options = name, Answers()

    def arguments(self, method: str | None) -> Json:
        """Return what ``estimate`` and ``learn`` take.

        Args:
            method: What counts where none was chosen; ``None``: what the worker takes then.
        """
        found = self.settings.arguments | {"exemplars": self.exemplars}
        chosen: Any = self.method or method
        if chosen is not None:
            found["method"] = chosen
        if self.options.values:
            found["options"] = dict(self.options.values)
        return found
