"""LwF in the form of the segmentation papers: plain cross-entropy, and distillation among the old outputs."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor

from IncrementalSegLib.losses.classes import distillation
from IncrementalSegLib.methods.base.context import StepContext
from IncrementalSegLib.methods.base.softmax_classes import ClassOptions, ClassTarget, Outputs, SoftmaxClasses
from IncrementalSegLib.registry import register


class LwfOptions(ClassOptions):
    """Options of LwF."""

    distillation: float = Field(100.0, ge=0)
    """Weight of the distillation, which is a mean over classes; MiB's comparison takes 100."""
    temperature: float = Field(1.0, gt=0)
    """Of both softmaxes; MiB's comparison takes 1, the original LwF 2."""


@register("method", "lwf")
class Lwf(SoftmaxClasses[LwfOptions]):
    """Distillation among the old outputs; labels call old structures background."""

    needs = frozenset({"teacher"})
    source = "Li & Hoiem, ECCV 2016, Eq. 1-3, as compared by Cermelli et al., CVPR 2020"
    balanced = False
    unbiased = False

    def preserve(self, outputs: Outputs, target: ClassTarget, ctx: StepContext) -> dict[str, Tensor]:
        """Return the distillation over the background and the old structures."""
        if not self.options.distillation:
            return {}
        term = distillation(*outputs.logits_and_columns, target.valid, temperature=self.options.temperature)
        return {"distillation": self.options.distillation * term}
