"""Softmax networks that rehearse exemplars by their labels, always or on request."""

from __future__ import annotations

from typing import TypeVar

from torch import Tensor

from IncrementalSegLib.losses.classes import masked_mean
from IncrementalSegLib.methods.base.context import StepContext
from IncrementalSegLib.methods.base.rehearsal import RehearsalOptions, Rehearses
from IncrementalSegLib.methods.base.softmax_classes import ClassOptions, ClassTarget, SoftmaxClasses, class_dice
from IncrementalSegLib.sampling.batch import PreparedCase
from IncrementalSegLib.types import Source


class RehearsingClassOptions(RehearsalOptions, ClassOptions):
    """Options of the class methods that rehearse exemplars."""


class RequestedRehearsalOptions(RehearsingClassOptions):
    """Options of the class methods that rehearse exemplars on request."""

    rehearsal: bool = False
    """Rehearse exemplars, drawn at random, by the labels of all that was looked for in them; our own addition."""


RehearsingT = TypeVar("RehearsingT", bound=RehearsingClassOptions)
RequestedT = TypeVar("RequestedT", bound=RequestedRehearsalOptions)


class RehearsingClasses(Rehearses[RehearsingT], SoftmaxClasses[RehearsingT]):
    """Base of the class methods that rehearse exemplars, drawn at random."""

    exemplar_order = "random"

    def labelled(self, losses: Tensor, logits: Tensor, target: ClassTarget, ctx: StepContext) -> dict[str, Tensor]:
        """Return cross-entropy and soft Dice of every structure that was looked for, old or new."""
        terms = {"cross_entropy": masked_mean(losses, target.valid)}
        if self.options.dice:
            terms["dice"] = class_dice(logits, target, list(range(1, logits.shape[1])))
        return terms


class RehearsesOnRequest(RehearsingClasses[RequestedT]):
    """Base of the class methods that can do without exemplars."""

    needs = frozenset({"teacher"})

    def required(self) -> frozenset[str]:
        """Add exemplars where they are to be rehearsed."""
        return self.needs | {"exemplars"} if self.options.rehearsal else self.needs

    def rehearsal(self, ctx: StepContext) -> list[PreparedCase]:
        """Take exemplars where they are to be rehearsed."""
        return super().rehearsal(ctx) if self.options.rehearsal else []

    def sources(self, ctx: StepContext) -> dict[Source, float]:
        """Take a share of the batches from exemplars where they are to be rehearsed."""
        return super().sources(ctx) if self.options.rehearsal else {"new": 1.0}

    def labelled(self, losses: Tensor, logits: Tensor, target: ClassTarget, ctx: StepContext) -> dict[str, Tensor]:
        """Return cross-entropy and soft Dice; of old structures too where exemplars are rehearsed."""
        if self.options.rehearsal:
            return super().labelled(losses, logits, target, ctx)
        return SoftmaxClasses.labelled(self, losses, logits, target, ctx)
