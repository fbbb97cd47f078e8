"""Finetuning of one softmax: the labels of the step are taken as the whole truth."""

from __future__ import annotations

from IncrementalSegLib.methods.base.softmax_classes import ClassOptions, SoftmaxClasses
from IncrementalSegLib.registry import register


@register("method", "finetune-softmax")
class FinetuneSoftmax(SoftmaxClasses[ClassOptions]):
    """Training on the new structures alone, with older ones as background; the lower bound."""

    source = "Cermelli et al., CVPR 2020 (MiB), Sec. 4 (FT)"
    retains = False
    balanced = False
    unbiased = False
