"""SDR: MiB's terms, and a feature space whose classes stay in place, apart and sparse."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from IncrementalSegLib.losses.alignment import prototype_alignment
from IncrementalSegLib.losses.clusters import attraction, repulsion, sparsity
from IncrementalSegLib.methods.base.context import StepContext
from IncrementalSegLib.methods.base.prototype_classes import PrototypeClasses, certain, class_masks, completed
from IncrementalSegLib.methods.base.rehearsing_classes import RehearsesOnRequest, RequestedRehearsalOptions
from IncrementalSegLib.methods.base.softmax_classes import ClassTarget, Outputs, distillation
from IncrementalSegLib.prototypes.means import masked_means
from IncrementalSegLib.registry import register


class SdrOptions(RequestedRehearsalOptions):
    """Options of SDR; defaults are the authors' unless said otherwise."""

    distillation: float = Field(100.0, ge=0)
    """Weight of the unbiased distillation, which is a mean over classes."""
    matching: float = Field(0.01, ge=0)
    """Weight of the distance of old structures in the batch from their prototypes."""
    attraction: float = Field(1e-3, ge=0)
    """Weight of the distance of features from the prototype of their class."""
    repulsion: float = Field(1e-3, ge=0)
    """Weight of the inverse distances between the classes in the batch."""
    sparsity: float = Field(1e-3, ge=0)
    """Weight of the features' sparsity."""
    clusters: Literal["completed", "labels"] = "completed"
    """Classes of attraction, repulsion and sparsity: the labels completed by what the previous model finds (our
    own choice), or the labels alone as in the authors' code, whose background holds the old structures too."""


@register("method", "sdr")
class Sdr(RehearsesOnRequest[SdrOptions], PrototypeClasses[SdrOptions]):
    """MiB, class means that stay in place, and features that cluster around them."""

    needs = PrototypeClasses.needs
    source = "Michieli & Zanuttigh, CVPR 2021, Sec. 4"
    balanced = False

    def preserve(self, outputs: Outputs, target: ClassTarget, ctx: StepContext) -> dict[str, Tensor]:
        """Return the unbiased distillation and the terms on the features."""
        options = self.options
        terms = distillation(options.distillation, outputs, target)
        if options.matching or options.attraction or options.repulsion or options.sparsity:
            found = completed(outputs, target)
            if options.matching:
                terms["matching"] = options.matching * self._matching(outputs, found, target, ctx)
            chosen = found if options.clusters == "completed" else target.column
            labels = torch.where(certain(chosen, target, ctx), chosen, -1)
            terms |= self._clusters(outputs.student.features.decoder, labels, target, ctx)
        return terms

    def _matching(self, outputs: Outputs, found: Tensor, target: ClassTarget, ctx: StepContext) -> Tensor:
        """Return how far old structures that the previous model finds lie from their prototypes, squared."""
        masks = class_masks(found, outputs.student_columns, target.valid)
        now, counts = masked_means(outputs.student.features.decoder, masks)
        stored = self.stored(ctx).of(outputs.student_columns)
        present = (counts > 0) & stored.known
        total = prototype_alignment(now, stored.values, present)
        return total * len(outputs.student_columns) / present.sum().clamp_min(1) / now.shape[1]

    def _clusters(self, features: Tensor, labels: Tensor, target: ClassTarget, ctx: StepContext) -> dict[str, Tensor]:
        options, classes = self.options, 1 + len(ctx.structures)
        terms: dict[str, Tensor] = {}
        if options.attraction:
            means = self.add_batch(features, target, ctx)
            known = torch.where(means.known[labels.clamp_min(0)], labels, -1)
            terms["attraction"] = options.attraction * attraction(features, known, means.values)
        if options.repulsion:
            now, counts = masked_means(features, class_masks(labels, range(classes), labels >= 0))
            terms["repulsion"] = options.repulsion * repulsion(now, counts > 0).float()
        if options.sparsity:
            terms["sparsity"] = options.sparsity * sparsity(features, labels, classes)
        return terms
