"""Replay: MiB's loss and distillation, and exemplars with their labels."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor

from IncrementalSegLib.losses.classes import masked_mean
from IncrementalSegLib.methods.base.context import StepContext
from IncrementalSegLib.methods.base.rehearsal import RehearsalOptions, Rehearses
from IncrementalSegLib.methods.base.softmax_classes import (
    ClassOptions,
    ClassTarget,
    Outputs,
    SoftmaxClasses,
    class_dice,
    distillation,
)
from IncrementalSegLib.registry import register


class ReplayOptions(RehearsalOptions, ClassOptions):
    """Options of replay."""

    distillation: float = Field(10.0, ge=0)
    """Weight of the unbiased distillation, as in mib; on exemplars too."""


@register("method", "replay")
class Replay(Rehearses[ReplayOptions], SoftmaxClasses[ReplayOptions]):
    """MiB, and rehearsal of exemplars drawn at random, by the labels of all that was looked for in them."""

    source = "Cermelli et al., CVPR 2020 (MiB), Eq. 3-8, with exemplars: our own combination"
    exemplar_order = "random"

    def labelled(self, losses: Tensor, logits: Tensor, target: ClassTarget, ctx: StepContext) -> dict[str, Tensor]:
        """Return cross-entropy and soft Dice of every structure that was looked for, old or new."""
        terms = {"cross_entropy": masked_mean(losses, target.valid)}
        if self.options.dice:
            terms["dice"] = class_dice(logits, target, list(range(1, logits.shape[1])))
        return terms

    def preserve(self, outputs: Outputs, target: ClassTarget, ctx: StepContext) -> dict[str, Tensor]:
        """Return the unbiased distillation."""
        return distillation(self.options.distillation, outputs, target)
