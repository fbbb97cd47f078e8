"""Replay: MiB's loss and distillation, and exemplars with their labels."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor

from IncrementalSegLib.methods.base.context import StepContext
from IncrementalSegLib.methods.base.rehearsing_classes import RehearsingClasses, RehearsingClassOptions
from IncrementalSegLib.methods.base.softmax_classes import ClassTarget, Outputs, distillation
from IncrementalSegLib.registry import register


class ReplayOptions(RehearsingClassOptions):
    """Options of replay."""

    distillation: float = Field(10.0, ge=0)
    """Weight of the unbiased distillation, as in mib; on exemplars too."""


@register("method", "replay")
class Replay(RehearsingClasses[ReplayOptions]):
    """MiB, and rehearsal of exemplars drawn at random, by the labels of all that was looked for in them."""

    source = "Cermelli et al., CVPR 2020 (MiB), Eq. 3-8, with exemplars: our own combination"

    def preserve(self, outputs: Outputs, target: ClassTarget, ctx: StepContext) -> dict[str, Tensor]:
        """Return the unbiased distillation."""
        return distillation(self.options.distillation, outputs, target)
