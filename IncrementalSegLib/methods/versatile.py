"""Versatile: one softmax from scans that are annotated in part, with losses that allow for what is hidden."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor

from IncrementalSegLib.losses.ambiguity import ambiguous_dice, focal, mean_entropy
from IncrementalSegLib.losses.classes import masked_mean
from IncrementalSegLib.methods.base.context import StepContext
from IncrementalSegLib.methods.base.softmax_classes import (
    ClassOptions,
    ClassTarget,
    Outputs,
    SoftmaxClasses,
    distillation,
)
from IncrementalSegLib.methods.base.unlabelled import DrawsUnlabelled, UnlabelledOptions
from IncrementalSegLib.registry import register


class VersatileOptions(UnlabelledOptions, ClassOptions):
    """Options of versatile."""

    dice: bool = True
    """Add the ambiguity-aware Dice loss."""
    focus: float = Field(2.0, ge=0)
    """Exponent of the focal cross-entropy; 0 is the plain one."""
    entropy: float = Field(1.0, ge=0)
    """Weight of the entropy of the outputs."""
    entropy_unlabelled: float = Field(3.0, ge=0)
    """Factor on the entropy of a patch without a labelled voxel."""
    distillation: float = Field(10.0, ge=0)
    """Weight of the previous model's output from the second step on, as in mib. Our own extension: the paper teaches
    everything in one step."""


@register("method", "versatile")
class Versatile(DrawsUnlabelled[VersatileOptions], SoftmaxClasses[VersatileOptions]):
    """Ambiguity-aware focal and Dice losses, and entropy that is minimised; later steps distil the previous model."""

    needs = frozenset({"teacher"})
    source = (
        "Chen et al., CVPR 2024 (Versatile), with the authors' code; distillation in later steps is our own extension"
    )

    def labelled(self, losses: Tensor, logits: Tensor, target: ClassTarget, ctx: StepContext) -> dict[str, Tensor]:
        """Return the ambiguity-aware terms and the entropy."""
        terms = {"cross_entropy": masked_mean(focal(losses, self.options.focus), target.valid)}
        if self.options.dice:
            terms["dice"] = ambiguous_dice(logits, target.column, self.hidden(target, ctx), target.valid)
        if self.options.entropy:
            term = mean_entropy(logits, target.column, target.valid, self.options.entropy_unlabelled)
            terms["entropy"] = self.options.entropy * term
        return terms

    def preserve(self, outputs: Outputs, target: ClassTarget, ctx: StepContext) -> dict[str, Tensor]:
        """Return the unbiased distillation."""
        return distillation(self.options.distillation, outputs, target)
