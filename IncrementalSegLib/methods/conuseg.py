"""CoNuSeg: sure pseudo-labels, and relations between class means held and sharpened."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from IncrementalSegLib.losses.classes import unbiased_cross_entropies
from IncrementalSegLib.losses.relations import prototype_contrast, relation_distillation
from IncrementalSegLib.methods.base.confidence import class_medians
from IncrementalSegLib.methods.base.context import StepContext
from IncrementalSegLib.methods.base.prototype_classes import PrototypeClasses, certain, class_masks, completed
from IncrementalSegLib.methods.base.softmax_classes import ClassOptions, ClassTarget, Outputs, columns
from IncrementalSegLib.networks.host import sent
from IncrementalSegLib.prototypes.bank import BACKGROUND
from IncrementalSegLib.prototypes.means import masked_means, weighted_means
from IncrementalSegLib.registry import register


class ConusegOptions(ClassOptions):
    """Options of CoNuSeg; defaults are the authors'."""

    relations: float = Field(0.1, ge=0)
    """Weight of the distillation of relations between old classes (PRD)."""
    contrast: float = Field(0.1, ge=0)
    """Weight of the contrast of classes in the batch against prototypes (PCON)."""
    threshold: float = Field(0.75, ge=0, le=1)
    """Highest probability that the previous model must exceed to be believed; for each class its median counts
    where that is lower."""
    hard: bool = True
    """Average new structures with less weight the surer the model is of a voxel, in PCON.  The authors' code
    undoes these weights by scaling every vector to length one afterwards."""


@register("method", "conuseg")
class Conuseg(PrototypeClasses[ConusegOptions]):
    """Confident pseudo-labels, and relations and contrast of class means.

    New rows start balanced, as in MiB: our own choice, the authors' code draws them at random.
    """

    source = "Wu, Wang, Zhao, Chen & Qin, IEEE TMI 2023 (CoNuSeg)"

    def begin_step(self, ctx: StepContext) -> None:
        """Measure how sure the previous model is of each class: medians of its highest probability."""
        super().begin_step(ctx)
        if ctx.teacher_model is not None and ctx.old:
            medians = class_medians(ctx, lambda probability: probability.amax(1))
            ctx.memory.data[self.key("medians")] = medians

    def cross_entropies(self, outputs: Outputs, target: ClassTarget, ctx: StepContext) -> Tensor:
        """Return the cross-entropy, unbiased where neither a label nor the sure previous model says what lies there."""
        confidence, winner = outputs.teacher_probability.max(1)
        measured = ctx.memory.data[self.key("medians")]
        medians = sent([measured[key] for key in (BACKGROUND, *ctx.old)], winner)
        sure = (target.column == 0) & (confidence > medians.clamp_max(self.options.threshold)[winner])
        hidden = self.hidden(target, ctx)
        told = hidden.clone()
        told[:, outputs.student_columns] = False
        logits = outputs.student.logits
        return torch.where(
            sure,
            unbiased_cross_entropies(logits, completed(outputs, target), told),
            unbiased_cross_entropies(logits, target.column, hidden),
        )

    def preserve(self, outputs: Outputs, target: ClassTarget, ctx: StepContext) -> dict[str, Tensor]:
        """Return PRD and PCON on directions of features, over labels completed by the previous model."""
        terms: dict[str, Tensor] = {}
        found = completed(outputs, target)
        now, before = (
            F.normalize(output.features.decoder.float(), dim=1) for output in (outputs.student, outputs.teacher)
        )
        if self.options.relations:
            masks = class_masks(found, [0, *outputs.student_columns], certain(found, target, ctx))
            means, counts = masked_means(now, masks)
            term = relation_distillation(means, masked_means(before, masks)[0], counts > 0)
            terms["relations"] = self.options.relations * term
        if self.options.contrast:
            terms["contrast"] = self.options.contrast * self._contrast(now, outputs, found, target, ctx)
        return terms

    def _contrast(
        self, features: Tensor, outputs: Outputs, found: Tensor, target: ClassTarget, ctx: StepContext
    ) -> Tensor:
        rows = [*outputs.student_columns, *columns(ctx.model, ctx.new)]
        prototypes = self.add_batch(features, target, ctx).of(rows)
        weights = class_masks(found, rows, target.valid).float()
        if self.options.hard:
            confidence, winner = outputs.student.logits.detach().float().softmax(1).max(1)
            easy = class_masks(winner, rows, target.valid)
            easy[:, : len(outputs.student_columns)] = False
            weights = weights * torch.where(easy, 1 - confidence.unsqueeze(1), 1)
        means, totals = weighted_means(features, weights)
        directions = F.normalize(prototypes.values, dim=1)
        return prototype_contrast(means, directions, prototypes.known, (totals > 0) & prototypes.known)

    def remember(self, ctx: StepContext) -> None:
        """Drop what was measured for this step alone."""
        super().remember(ctx)
        ctx.memory.data.pop(self.key("medians"), None)
