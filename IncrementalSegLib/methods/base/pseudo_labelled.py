"""Softmax networks that fill what a step left unlabelled with what the previous model finds there."""

from __future__ import annotations

from abc import abstractmethod
from typing import TypeVar

from torch import Tensor

from IncrementalSegLib.losses.classes import unbiased_cross_entropies
from IncrementalSegLib.losses.pseudo_labels import PseudoLabels, pseudo_labels
from IncrementalSegLib.methods.base.context import StepContext
from IncrementalSegLib.methods.base.softmax_classes import ClassOptions, ClassTarget, Outputs, SoftmaxClasses

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

    def cross_entropies(self, outputs: Outputs, target: ClassTarget, ctx: StepContext) -> Tensor:
        """Return each voxel's weighted cross-entropy on labels and pseudo-labels."""
        found = pseudo_labels(target.column, outputs.teacher_probability, outputs.student_columns, self.threshold(ctx))
        losses = unbiased_cross_entropies(outputs.student.logits, found.column, self.hidden(target, ctx))
        return losses * self.weights(found, target.valid)
