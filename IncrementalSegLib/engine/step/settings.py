"""How a step is done: schedule, seed, and what becomes of its candidate."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from IncrementalSegLib.errors import OptionError
from IncrementalSegLib.evaluation.verdicts import Limits
from IncrementalSegLib.preprocessing.intensity import NormalisationChoice
from IncrementalSegLib.types import Json

_CHOICES = {
    "exemplars": ("keep", "none"),
    "accept": ("gate", "always", "never"),
    "retention": ("paths", "copy"),
    "normalisation": ("auto", "zscore", "ct"),
}
_LEAST = {"steps": 1, "seed": 0}


@dataclass(frozen=True)
class StepSettings:
    """How a step is done, whatever its method and data.

    Attributes:
        preset: ``quick``, ``standard`` or ``paper``; by default standard on a GPU and quick on a CPU.
        steps: Optimiser steps at most; by default the preset's.
        exemplars: ``keep`` representative scans for later steps, or ``none``.
        seed: Decides split, initial values, batches and dropout.
        accept: The candidate becomes current: ``gate``, unless the gate holds it back; ``always``; ``never``.
        retention: Scans that judge later steps are known by ``paths`` and sha256, or a ``copy`` is kept.
        limits: What the gate lets an older structure lose.
        normalisation: How intensities are normalised, fixed at the first step: ``auto``, by the scans' values;
            ``zscore``, scan by scan; ``ct``, one window of Hounsfield units.
        strict: What a person should know of a case is an error.

    Raises:
        OptionError: A value that cannot be used.
    """

    preset: str | None = None
    steps: int | None = None
    exemplars: Literal["keep", "none"] = "keep"
    seed: int = 0
    accept: Literal["gate", "always", "never"] = "gate"
    retention: Literal["paths", "copy"] = "paths"
    limits: Limits = field(default_factory=Limits)
    normalisation: NormalisationChoice = "auto"
    strict: bool = False

    def __post_init__(self) -> None:
        for name, known in _CHOICES.items():
            value: Any = getattr(self, name)
            if value not in known:
                *others, last = known
                raise OptionError(f"The option {name} is {value!r}.", todo=f"Use {', '.join(others)} or {last}.")
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if value is not None and value < least:
                raise OptionError(f"The option {name} is {value}.", todo=f"Give {least} or more.")

    @classmethod
    def from_json(cls, data: Json) -> StepSettings:
        """Rebuild settings from ``dataclasses.asdict``."""
        return cls(**data | {"limits": Limits(**data["limits"])})
