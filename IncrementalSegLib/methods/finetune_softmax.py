"""Finetuning of one softmax: the labels of the step are taken as the whole truth."""

from __future__ import annotations

from IncrementalSegLib.methods.base.softmax_classes import ClassOptions, SoftmaxClasses
from IncrementalSegLib.registry import register


@register("method", "finetune-softmax")
class FinetuneSoftmax(SoftmaxClasses[ClassOptions]):
    """Train on the new structures alone, with everything older as background; the lower bound of the papers."""

    source = "Cermelli et al., CVPR 2020 (MiB), Sec. 4 (FT)"
    retains = False
    balanced = False
    unbiased = False
