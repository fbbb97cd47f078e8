"""Softmax networks that fill what a step left unlabelled with what the previous model finds there."""

from __future__ import annotations

from abc import abstractmethod
from typing import TypeVar

from torch import Tensor

from IncrementalSegLib.losses.classes import masked_mean, merged_log_softmax, unbiased_cross_entropies
from IncrementalSegLib.losses.pseudo_labels import PseudoLabels, pseudo_labels
from IncrementalSegLib.strategy.context import StepContext
from IncrementalSegLib.strategy.softmax_classes import Both, ClassOptions, ClassTarget, SoftmaxClasses

PseudoOptionsT = TypeVar("PseudoOptionsT", bound=ClassOptions)


class PseudoLabelled(SoftmaxClasses[PseudoOptionsT]):
    """Base of the methods whose cross-entropy is on labels and pseudo-labels together."""

    needs = frozenset({"teacher"})
    unbiased = False

    @abstractmethod
    def threshold(self, ctx: StepContext) -> float | Tensor:
        """Return the entropy, 0..1, below which the previous model is sure: for all or for each class it knows."""

    @abstractmethod
    def weights(self, found: PseudoLabels, valid: Tensor) -> Tensor:
        """Return the weight ``(B, *S)`` of each voxel's cross-entropy."""

    def supervise(self, both: Both, target: ClassTarget, ctx: StepContext) -> dict[str, Tensor]:
        """Return the cross-entropy on labels and pseudo-labels, and the soft Dice of the labels."""
        logits = both.output.logits
        probability = merged_log_softmax(both.teacher.logits, both.theirs).exp()
        found = pseudo_labels(target.column, probability, both.own, self.threshold(ctx))
        losses = unbiased_cross_entropies(logits, found.column, self.hidden(target, ctx))
        terms = {"cross_entropy": masked_mean(losses * self.weights(found, target.valid), target.valid)}
        if self.options.dice:
            terms["dice"] = self.dice(logits, target, ctx.new, ctx)
        return terms
