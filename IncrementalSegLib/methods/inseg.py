"""InSeg: room in the background for structures that may come, and structures received from it.

The paper gives the unknown future a channel of the output.  Such a channel means background to whoever
segments, so here it is left out and its part of the cross-entropy kept (see ``losses/future.py``): this is
our own form, and the weights are our own too, because only the core of the authors' code is public.
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from IncrementalSegLib.losses.future import background_split, compatible_distillation
from IncrementalSegLib.methods.base.context import StepContext
from IncrementalSegLib.methods.base.prototype_classes import PrototypeClasses, certain, completed
from IncrementalSegLib.methods.base.softmax_classes import ClassOptions, ClassTarget, Outputs
from IncrementalSegLib.prototypes.means import masked_means
from IncrementalSegLib.prototypes.similarity import voxel_cosines
from IncrementalSegLib.registry import register


class InsegOptions(ClassOptions):
    """Options of InSeg."""

    distillation: float = Field(10.0, ge=0)
    """Weight of the compatible distillation (CID), a mean over classes; our own choice, as in MiB."""
    future: float = Field(1.0, ge=0)
    """Weight of telling the future from the background (FCA); our own choice."""
    similarity: float = Field(0.8, ge=-1, le=1)
    """Background that resembles the known structures by this mean cosine is taken for a future one; the authors'."""
    temperature: float = Field(0.1, gt=0)
    """Divides the cosines with the means of background and future; our own choice."""


@register("method", "inseg")
class Inseg(PrototypeClasses[InsegOptions]):
    """MiB, and separate treatment of background that resembles a structure.

    New rows start balanced, as in MiB: our own choice.
    """

    source = "Wang, Wu & Qin, CVPR 2024 (InSeg), after the public core of its code"

    def preserve(self, outputs: Outputs, target: ClassTarget, ctx: StepContext) -> dict[str, Tensor]:
        """Return CID and FCA."""
        options = self.options
        terms: dict[str, Tensor] = {}
        if options.distillation:
            hidden = self.hidden(target, ctx)
            term = compatible_distillation(
                *outputs.logits_and_columns,
                column=target.column,
                hidden=hidden,
                valid=target.valid,
            )
            terms["distillation"] = options.distillation * term
        if options.future:
            terms["future"] = options.future * self._future(outputs, target, ctx)
        return terms

    def _future(self, outputs: Outputs, target: ClassTarget, ctx: StepContext) -> Tensor:
        features = outputs.student.features.decoder
        found = completed(outputs, target)
        background = certain(found, target, ctx) & (found == 0)
        means = self.add_batch(features, target, ctx)
        cosines, known = voxel_cosines(features.detach(), means.values[1:]), means.known[1:]  # 0 with unknown ones
        alike = cosines.sum(1) / known.sum().clamp_min(1) >= self.options.similarity
        future = background & alike
        centres, counts = masked_means(features.detach(), torch.stack([background & ~alike, future], dim=1))
        term = background_split(voxel_cosines(features, centres), future, background, self.options.temperature)
        return term * (counts > 0).all()
