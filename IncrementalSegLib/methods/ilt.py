"""ILT: distillation of the output and of the encoder's features."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor

from IncrementalSegLib.losses.classes import distillation
from IncrementalSegLib.losses.features import squared_distance
from IncrementalSegLib.methods.base.context import StepContext
from IncrementalSegLib.methods.base.softmax_classes import ClassOptions, ClassTarget, Outputs, SoftmaxClasses
from IncrementalSegLib.registry import register


class IltOptions(ClassOptions):
    """Options of ILT."""

    distillation: float = Field(100.0, ge=0)
    """Weight of the distillation of the output, a mean over classes; MiB's comparison takes 100."""
    features: float = Field(100.0, ge=0)
    """Weight of the mean squared distance between the coarsest features; MiB's comparison takes 100."""


@register("method", "ilt")
class Ilt(SoftmaxClasses[IltOptions]):
    """LwF, and distillation of the coarsest features."""

    needs = frozenset({"teacher"})
    source = "Michieli & Zanuttigh, ICCV Workshops 2019, Eq. 2-5, as compared by Cermelli et al., CVPR 2020"
    balanced = False
    unbiased = False

    def preserve(self, outputs: Outputs, target: ClassTarget, ctx: StepContext) -> dict[str, Tensor]:
        """Return the distillations of output and features."""
        terms: dict[str, Tensor] = {}
        if self.options.distillation:
            term = distillation(*outputs.logits_and_columns, target.valid)
            terms["distillation"] = self.options.distillation * term
        if self.options.features:
            now, before = outputs.student.features.abstraction, outputs.teacher.features.abstraction
            terms["features"] = self.options.features * squared_distance(now, before, target.valid)
        return terms
