"""Pseudo-labels: the step's labels and what the previous model finds, learned as one."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from IncrementalSegLib.losses.pseudo_labels import PseudoLabels
from IncrementalSegLib.methods.base.context import StepContext
from IncrementalSegLib.methods.base.pseudo_labelled import PseudoLabelled
from IncrementalSegLib.methods.base.softmax_classes import ClassOptions
from IncrementalSegLib.registry import register


class PseudoLabelOptions(ClassOptions):
    """Options of pseudo-label."""

    threshold: float = Field(1.0, gt=0, le=1)
    """Entropy of the previous model, relative to the largest possible, below which its opinion counts; 1 takes
    all of it (our own choice, as in the comparison of Zhang et al.)."""
    rejected: Literal["background", "ignore"] = "background"
    """Role of an unlabelled voxel at which the previous model is not sure."""


@register("method", "pseudo-label")
class PseudoLabel(PseudoLabelled[PseudoLabelOptions]):
    """The previous model's segmentation as labels, beside the new ones.

    New rows start balanced, as in MiB: our own choice.
    """

    source = "Zhang et al., MICCAI 2023 (pseudo-labels), in the form of one softmax"

    def threshold(self, ctx: StepContext) -> float:
        """Return one threshold for all."""
        return self.options.threshold

    def weights(self, found: PseudoLabels, valid: Tensor) -> Tensor:
        """Leave out what was rejected, or take it as background."""
        return ~found.rejected if self.options.rejected == "ignore" else torch.ones_like(valid)
