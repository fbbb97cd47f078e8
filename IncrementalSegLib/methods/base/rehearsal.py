"""Rehearsal of exemplars: what the methods that draw them share."""

from __future__ import annotations

from typing import ClassVar, TypeVar

from pydantic import Field

from IncrementalSegLib.exemplars.memory import Order
from IncrementalSegLib.methods.base.context import StepContext
from IncrementalSegLib.methods.base.method import Method, MethodOptions
from IncrementalSegLib.sampling.batch import PreparedCase
from IncrementalSegLib.types import Source


class RehearsalOptions(MethodOptions):
    """Options of every method that rehearses exemplars."""

    p_exemplar: float = Field(0.5, ge=0, lt=1)
    """Probability that a batch comes from the exemplars (the 2019 code's coin)."""
    rehearse: int = Field(30, ge=1)
    """Exemplars of each structure to rehearse, the first in this method's order."""


RehearsalOptionsT = TypeVar("RehearsalOptionsT", bound=RehearsalOptions)


class Rehearses(Method[RehearsalOptionsT]):
    """Base of the methods that rehearse exemplars of all that the previous model knows.

    Attributes:
        exemplar_order: Order in which exemplars are taken.
    """

    needs = frozenset({"teacher", "exemplars"})
    exemplar_order: ClassVar[Order]

    def rehearsal(self, ctx: StepContext) -> list[PreparedCase]:
        """Take exemplars of what the teacher knows in this method's order."""
        known = ctx.teacher_model.structures if ctx.teacher_model is not None else ()
        return ctx.exemplars.take(self.exemplar_order, known, self.options.rehearse)

    def sources(self, ctx: StepContext) -> dict[Source, float]:
        """Take a share of the batches from exemplars."""
        return {"new": 1 - self.options.p_exemplar, "exemplar": self.options.p_exemplar}
