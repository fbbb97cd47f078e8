"""PCDD: class means say where, and for which structure, the previous model is worth listening to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from IncrementalSegLib.losses.alignment import prototype_alignment
from IncrementalSegLib.losses.calibrated import Direction, Form, calibrated_distillation, divergence
from IncrementalSegLib.losses.classes import merged_log_softmax
from IncrementalSegLib.losses.pseudo_labels import pseudo_labels
from IncrementalSegLib.methods.base.context import StepContext
from IncrementalSegLib.methods.base.prototype_classes import PrototypeClasses, class_masks
from IncrementalSegLib.methods.base.rehearsing_classes import RehearsesOnRequest, RequestedRehearsalOptions
from IncrementalSegLib.methods.base.softmax_classes import ClassTarget, Outputs, columns, distillation
from IncrementalSegLib.networks.host import sent
from IncrementalSegLib.prototypes.means import masked_means
from IncrementalSegLib.prototypes.similarity import affinities
from IncrementalSegLib.registry import register


class PcddOptions(RequestedRehearsalOptions):
    """Options of PCDD; a weight of 0 leaves its part out.  The paper gives no value for any number here."""

    base: Literal["mib", "unce_only", "calibrated"] = "mib"
    """mib: unbiased distillation besides, as the first row of the paper's ablation, which equals its MiB.
    unce_only: Eq. 13 as printed. calibrated: the calibrated distillations replace the unbiased one, and are
    multiplied by its weight; our own reading."""
    distillation: float = Field(10.0, ge=0)
    """Weight of the unbiased distillation, a mean over classes, or of what replaces it; MiB's 10."""
    lambda_ll: float = Field(0.001, ge=0)
    """Weight of the alignment with the previous model's class means of the same batch; our own choice, by a search
    on validation cases, as that of lambda_lg and lambda_orcd (docs/benchmarks)."""
    lambda_lg: float = Field(0.001, ge=0)
    """Weight of the alignment with the class means of earlier steps."""
    lambda_orcd: float = Field(0.1, ge=0)
    """Weight of the calibrated distillation where old structures lie."""
    lambda_crcd: float = Field(1.0, ge=0)
    """Weight of the calibrated distillation everywhere else; our own choice.  With base=mib about 15 to 20 give its
    gradient the size of the unbiased distillation's, with base=calibrated 1 to 2 do."""
    merged_background: bool = False
    """Give the new structures' share of the affinities, in the calibrated distillation everywhere else, to the
    background merged with them, which is the previous model's column for them; otherwise it has no term."""
    tau: float = Field(0.5, ge=0, le=1)
    """The previous model is believed where its entropy, 0..1 of the highest possible, lies below; our own choice."""
    rejected: Literal["background", "ignore"] = "background"
    """Role of unlabelled voxels where it is not believed: background (Eq. 4), or no part of either region."""
    affinity_temperature: float = Field(1.0, gt=0)
    """Divides the cosines before their softmax: 1 is the paper's, and nearly uniform; 0.1 tells classes apart."""
    kd_direction: Direction = "teacher_student"
    """teacher_student: KL(teacher || student), as in what the paper builds on. student_teacher: as printed."""
    kl_form: Form = "generalised"
    """generalised: never negative, 0 where both agree. plain: as printed, may fall below 0."""
    bg_merge: Literal["weighted", "sum"] = "weighted"
    """Combination of the means of background and new structures into the earlier background's: weighted by voxels,
    or their sum (Eq. 10 as printed), which grows with the number of new structures."""
    unit_prototypes: bool = False
    """Align directions of class means instead of the means, so that the weights do not depend on the features'
    scale; our own choice."""


@dataclass(frozen=True)
class _Regions:
    """Labels completed by the previous model (Eq. 4), and the parts of the image that they make (Eq. 5)."""

    column: Tensor
    old: Tensor
    current: Tensor


@register("method", "pcdd")
class Pcdd(RehearsesOnRequest[PcddOptions], PrototypeClasses[PcddOptions]):
    """MiB, distillation calibrated by class means, and class means aligned twice.

    The paper names neither the layer of the features nor the initial values of new rows.  Our own choice is the
    last map before the output, because Eq. 6-9 weigh every voxel of the prediction, and MiB's balanced rows.
    """

    needs = PrototypeClasses.needs
    source = "Zhu et al., AAAI 2026, Eq. 2-13"

    def preserve(self, outputs: Outputs, target: ClassTarget, ctx: StepContext) -> dict[str, Tensor]:
        """Return the distillation of the base and the parts that are switched on (Eq. 13)."""
        options = self.options
        terms = distillation(options.distillation if options.base == "mib" else 0.0, outputs, target)
        if options.lambda_orcd or options.lambda_crcd or options.lambda_ll or options.lambda_lg:
            regions = self._regions(outputs, target)
            terms |= self._calibrated(outputs, regions, target, ctx) | self._aligned(outputs, regions, ctx)
        return terms

    def _regions(self, outputs: Outputs, target: ClassTarget) -> _Regions:
        labels = pseudo_labels(target.column, outputs.teacher_probability, outputs.student_columns, self.options.tau)
        old = torch.isin(labels.column, sent(outputs.student_columns, labels.column))
        current = ~old & ~labels.rejected if self.options.rejected == "ignore" else ~old
        return _Regions(labels.column, old & target.valid, current & target.valid)

    def _calibrated(
        self, outputs: Outputs, regions: _Regions, target: ClassTarget, ctx: StepContext
    ) -> dict[str, Tensor]:
        """Return ORCD (Eq. 6-7) and CRCD (Eq. 8-9).

        The previous model has no column for new structures, so CRCD sums over the old ones; the new take
        their share of the affinities, which is what weakens the old near them.
        """
        options, own = self.options, outputs.student_columns
        terms: dict[str, Tensor] = {}
        if not (options.lambda_orcd or options.lambda_crcd):
            return terms
        scale = options.distillation if options.base == "calibrated" else 1.0
        present = merged_log_softmax(outputs.student.logits, own)
        teacher = merged_log_softmax(outputs.teacher.logits, outputs.teacher_columns)
        apart = divergence(present, teacher, options.kd_direction, options.kl_form)
        if options.lambda_orcd:
            means, features = self.stored(ctx).of(own), outputs.teacher.features.decoder
            weights = affinities(features, means.values, means.known, options.affinity_temperature)
            term = calibrated_distillation(apart[:, 1:], weights, regions.old)
            terms["orcd"] = scale * options.lambda_orcd * term
        if options.lambda_crcd:
            features = outputs.student.features.decoder
            every = list(dict.fromkeys(own + columns(ctx.model, ctx.new)))  # an exemplar may show what is improved
            means = self.add_batch(features, target, ctx).of(every)
            weights = affinities(features, means.values, means.known, options.affinity_temperature)
            old, new = weights.tensor_split([len(own)], dim=1)
            background = new.sum(1, keepdim=True) * options.merged_background
            term = calibrated_distillation(apart, torch.cat([background, old], dim=1), regions.current)
            terms["crcd"] = scale * options.lambda_crcd * term
        return terms

    def _aligned(self, outputs: Outputs, regions: _Regions, ctx: StepContext) -> dict[str, Tensor]:
        """Return both halves of DAPD (Eq. 10-12); both models are averaged over the same labels."""
        options, own = self.options, outputs.student_columns
        terms: dict[str, Tensor] = {}
        if not (options.lambda_ll or options.lambda_lg):
            return terms
        masks = torch.cat([regions.current.unsqueeze(1), class_masks(regions.column, own, regions.old)], dim=1)
        features = outputs.student.features.decoder
        now, counts = masked_means(features, masks)
        if options.bg_merge == "sum":
            rows = [0, *columns(ctx.model, ctx.new)]
            parts, _ = masked_means(features, class_masks(regions.column, rows, regions.current))
            now = torch.cat([parts.sum(0, keepdim=True), now[1:]])
        if options.lambda_ll:
            before, _ = masked_means(outputs.teacher.features.decoder, masks)
            terms["local_prototypes"] = options.lambda_ll * self._distance(now, before, counts > 0)
        if options.lambda_lg:
            stored = self.stored(ctx).of([0, *own])
            found = (counts > 0) & stored.known
            terms["global_prototypes"] = options.lambda_lg * self._distance(now, stored.values, found)
        return terms

    def _distance(self, means: Tensor, targets: Tensor, present: Tensor) -> Tensor:
        if self.options.unit_prototypes:
            means, targets = F.normalize(means, dim=1), F.normalize(targets, dim=1)
        return prototype_alignment(means, targets, present)
