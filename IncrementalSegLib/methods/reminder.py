"""REMINDER: PLOP, and old classes held most where a new structure resembles them."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from IncrementalSegLib.losses.similarity import similarity_weighted_distillation
from IncrementalSegLib.methods.base.context import StepContext
from IncrementalSegLib.methods.base.pooled_distillation import PooledDistillation, PooledOptions
from IncrementalSegLib.methods.base.prototype_classes import class_masks
from IncrementalSegLib.methods.base.softmax_classes import ClassTarget, Outputs, columns
from IncrementalSegLib.networks.host import picked, sent
from IncrementalSegLib.prototypes.bank import BACKGROUND
from IncrementalSegLib.prototypes.means import masked_means
from IncrementalSegLib.prototypes.similarity import class_cosines
from IncrementalSegLib.registry import register


class ReminderOptions(PooledOptions):
    """Options of REMINDER."""

    similarity: float = Field(0.5, ge=0)
    """Weight of the class-similarity weighted distillation; the authors' value."""
    temperature: float = Field(3.0, gt=0)
    """Of the softmaxes in it; the authors' value."""
    delta: float = Field(0.0, ge=0)
    """Old classes with less than this share of an even weight are left out of it; the authors' value."""


@register("method", "reminder")
class Reminder(PooledDistillation[ReminderOptions]):
    """PLOP, and distillation weighted by the similarity of old and new structures."""

    needs = frozenset({"teacher", "prototypes"})
    source = "Phan et al., CVPR 2022, Eq. 4-7"

    def preserve(self, outputs: Outputs, target: ClassTarget, ctx: StepContext) -> dict[str, Tensor]:
        """Return PLOP's terms and the class-similarity weighted distillation."""
        terms = super().preserve(outputs, target, ctx)
        if not self.options.similarity:
            return terms
        masks = class_masks(target.column, columns(ctx.model, ctx.new), target.valid)
        label = torch.where(masks.any(1), masks.long().argmax(1), -1)
        term = similarity_weighted_distillation(
            picked(outputs.student.logits, [0, *outputs.student_columns]),
            picked(outputs.teacher.logits, [0, *outputs.teacher_columns]),
            label,
            self._likeness(outputs.student.features.decoder, masks, ctx),
            self.options.temperature,
        )
        return terms | {"similarity": self.options.similarity * term}

    @torch.no_grad()
    def _likeness(self, features: Tensor, masks: Tensor, ctx: StepContext) -> Tensor:
        """Return ``(K, C)``: the softmax over old classes of their cosines with the batch's new structures (Eq. 5).

        A class without a prototype has no weight: forgetting a patient takes the background's along.
        """
        new = masked_means(features.float(), masks)[0]
        keys = (BACKGROUND, *ctx.old)
        known = [row for row, key in enumerate(keys) if key in ctx.prototypes]
        weights = new.new_zeros(len(new), len(keys))
        old = sent(ctx.prototypes.matrix([keys[row] for row in known]), new).to(new)
        weights = weights.index_copy(1, sent(known, new), class_cosines(new, old).softmax(1))
        return weights.where(weights >= self.options.delta / len(keys), 0.0)
