"""Unlabelled scans of earlier domains: what the methods that draw them share."""

from __future__ import annotations

from typing import TypeVar

from pydantic import Field

from IncrementalSegLib.methods.base.context import StepContext
from IncrementalSegLib.methods.base.method import Method, MethodOptions
from IncrementalSegLib.types import Source


class UnlabelledOptions(MethodOptions):
    """Options of every method that draws unlabelled scans."""

    distillation: float = Field(1.0, ge=0)
    """Weight of the previous model's output."""
    p_unlabelled: float = Field(0.5, ge=0, lt=1)
    """Probability that a batch comes from the unlabelled scans, where there are some."""


UnlabelledOptionsT = TypeVar("UnlabelledOptionsT", bound=UnlabelledOptions)


class DrawsUnlabelled(Method[UnlabelledOptionsT]):
    """Base of the methods that distil the previous model on unlabelled scans too."""

    draws_unlabelled = True

    def distils(self) -> bool:
        """Return whether an unlabelled scan has a term in the loss."""
        return self.options.distillation > 0

    def sources(self, ctx: StepContext) -> dict[Source, float]:
        """Take a share of the batches from unlabelled scans of earlier domains."""
        if ctx.teacher_model is None or not self.distils():
            return {"new": 1.0}
        return {"new": 1 - self.options.p_unlabelled, "unlabelled": self.options.p_unlabelled}
