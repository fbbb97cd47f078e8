"""Softmax networks that fill what a step left unlabelled with what the previous model finds there."""

from __future__ import annotations

from abc import abstractmethod
from typing import TypeVar

from torch import Tensor

from IncrementalSegLib.losses.classes import unbiased_cross_entropies
from IncrementalSegLib.losses.pseudo_labels import PseudoLabels, pseudo_labels
from IncrementalSegLib.methods.base.context import StepContext
from IncrementalSegLib.methods.base.softmax_classes import Both, ClassOptions, ClassTarget, SoftmaxClasses

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

    def cross_entropies(self, both: Both, target: ClassTarget, ctx: StepContext) -> Tensor:
        """Return each voxel's weighted cross-entropy on labels and pseudo-labels."""
        found = pseudo_labels(target.column, both.teacher_probability, both.own, self.threshold(ctx))
        losses = unbiased_cross_entropies(both.output.logits, found.column, self.hidden(target, ctx))
        return losses * self.weights(found, target.valid)
