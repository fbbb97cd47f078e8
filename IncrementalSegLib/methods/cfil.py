"""CFIL: classifier-free incremental learning, after Chen et al. 2024, details inferred."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import cast

from pydantic import Field
from torch import Tensor

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
from IncrementalSegLib.networks.outputs.embedding import Embedding
from IncrementalSegLib.networks.segmenter import Segmenter
from IncrementalSegLib.networks.text import seeded_embedding
from IncrementalSegLib.registry import register
from IncrementalSegLib.types import StructureId

log = logging.getLogger(__name__)


class CfilOptions(UnlabelledOptions, ClassOptions):
    """Options of CFIL."""

    distillation: float = Field(10.0, ge=0)
    """Weight of the previous model's output, a mean over classes in which new structures count as background."""
    feature_distillation: float = Field(0.0, ge=0)
    """Weight of the distance, one minus the cosine, between the feature vectors of both models."""


@register("method", "cfil")
class Cfil(DrawsUnlabelled[CfilOptions], SoftmaxClasses[CfilOptions]):
    """Contrast voxels with orthonormal directions made from names; distil the previous model, also on unlabelled scans.

    The cross-entropy is over cosines.  A voxel without a label counts as background or any structure that was not
    looked for, through the sum of their probabilities.
    """

    output = "embedding"
    needs = frozenset({"teacher"})
    reads_names = True
    balanced = False
    source = "after Chen et al., arXiv 2405.16328, 2024; details inferred from its abstract and figures"

    def grow(self, model: Segmenter, new: Sequence[StructureId], ctx: StepContext) -> None:
        """Add structures, each with a direction made from its name beside those of the earlier ones."""
        model.add(new)
        for structure in new:
            embedding = ctx.text.get(structure) or seeded_embedding(structure)
            place = cast(Embedding, model.output).orient(structure, embedding)
            if place.source != embedding.source:
                log.warning(
                    "The text embedding of %r lies in the span of earlier ones (residual %.1g), so its direction is "
                    "made from the hash of the name, without meaning. A more distinct name or a table would be better.",
                    embedding.name,
                    place.residual,
                )

    def distils(self) -> bool:
        """Return whether an unlabelled scan has a term in the loss."""
        return super().distils() or self.options.feature_distillation > 0

    def preserve(self, outputs: Outputs, target: ClassTarget, ctx: StepContext) -> dict[str, Tensor]:
        """Return the distillation of the outputs and, where it is wanted, of the feature vectors."""
        terms = distillation(self.options.distillation, outputs, target)
        if self.options.feature_distillation:
            assert ctx.teacher_model is not None
            model, teacher = cast(Embedding, ctx.model.output), cast(Embedding, ctx.teacher_model.output)
            hidden = model.hidden(outputs.student.features.decoder_dropped)
            before = teacher.hidden(outputs.teacher.features.decoder_dropped).detach()
            apart = 1 - model.alignment(hidden, teacher, before).squeeze(1)
            terms["features"] = self.options.feature_distillation * masked_mean(apart, target.valid)
        return terms
