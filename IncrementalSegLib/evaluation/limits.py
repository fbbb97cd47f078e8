"""Limits on the loss of an older structure."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from IncrementalSegLib.errors import OptionError
from IncrementalSegLib.options import CONFIG, Options

_UNSURE = 1.0


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class Limits(Options):
    """Limits on losses, in points of Dice, 0..100.

    Raises:
        OptionError: A limit is not a number in 0..100, or ``unsure`` lies above ``harm``.
    """

    group: ClassVar[str] = "limits"
    harm: Annotated[
        float,
        Field(
            ge=0,
            le=100,
            title="Harm limit (points)",
            description="Mean drop of one structure above which it is harmed, in points of Dice.",
        ),
    ] = 3.0
    unsure: Annotated[
        float,
        Field(
            ge=0,
            le=100,
            title="Unsure limit (points)",
            description="Mean drop from which fewer than five scans are unsure. Default: 1, or harm if that is less.",
        ),
    ] = Field(default_factory=lambda given: min(_UNSURE, given["harm"]), kw_only=True)
    mean: Annotated[
        float,
        Field(
            ge=0,
            le=100,
            title="Mean limit (points)",
            description="Mean drop over all older structures above which a version is held back, in points of Dice.",
        ),
    ] = 1.0

    @model_validator(mode="after")
    def _order(self) -> Limits:
        if self.unsure > self.harm:
            raise OptionError(
                f"The limit unsure ({self.unsure:g} points) lies above the limit harm ({self.harm:g}).",
                todo="Give it at most the limit harm.",
            )
        return self
