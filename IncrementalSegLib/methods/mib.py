"""MiB: labels and distillation that allow for what the background hides."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor

from IncrementalSegLib.methods.base.context import StepContext
from IncrementalSegLib.methods.base.rehearsing_classes import RehearsesOnRequest, RequestedRehearsalOptions
from IncrementalSegLib.methods.base.softmax_classes import ClassTarget, Outputs, distillation
from IncrementalSegLib.registry import register


class MibOptions(RequestedRehearsalOptions):
    """Options of MiB."""

    distillation: float = Field(10.0, ge=0)
    """Weight of the unbiased distillation, which is a mean over classes: with K old structures the paper's 10
    weighs a sum over classes by 10 / (K + 1)."""


@register("method", "mib")
class Mib(RehearsesOnRequest[MibOptions]):
    """A loss and a distillation that account for structures hidden in the background."""

    source = "Cermelli et al., CVPR 2020, Eq. 3-8"

    def preserve(self, outputs: Outputs, target: ClassTarget, ctx: StepContext) -> dict[str, Tensor]:
        """Return the unbiased distillation (Eq. 4-5)."""
        return distillation(self.options.distillation, outputs, target)
