"""PLOP: pseudo-labels where the previous model is sure, and local POD; what the methods on top of it share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Literal, TypeVar

import torch
from pydantic import Field
from torch import Tensor

from IncrementalSegLib.losses.pod import local_pod
from IncrementalSegLib.losses.pseudo_labels import PseudoLabels, entropy
from IncrementalSegLib.methods.base.confidence import class_medians
from IncrementalSegLib.methods.base.context import StepContext
from IncrementalSegLib.methods.base.pseudo_labelled import PseudoLabelled
from IncrementalSegLib.methods.base.softmax_classes import ClassOptions, ClassTarget, Outputs
from IncrementalSegLib.networks.host import picked, sent
from IncrementalSegLib.networks.output import Features
from IncrementalSegLib.prototypes.bank import BACKGROUND


class PooledOptions(ClassOptions):
    """Options of PLOP and of what builds on it."""

    pod: float = Field(0.1, ge=0)
    """Weight of the local POD of the feature maps; our own choice, the authors' is 0.01 with pod_norm=raw."""
    pod_logits: float = Field(0.005, ge=0)
    """Weight of the local POD of the logits; as small beside the other as the authors', which is 0.0005."""
    pod_norm: Literal["relative", "raw"] = "relative"
    """relative: divided by the norm of the previous model's pooled maps, so that the weights do not depend on the
    network. raw: as in the paper."""
    threshold: float = Field(0.05, ge=0, le=1)
    """Least threshold on the entropy of a pseudo-label; our own choice, the authors' is 0.001 in their unit.  Above
    it counts, for each class, the median entropy where the previous model finds it."""
    threshold_unit: Literal["normalised", "authors"] = "normalised"
    """Unit of the threshold: the entropy as a share of the highest possible, or that share over C log C' for the C
    classes of the previous model and the C' of this one, background included, as in the authors' code."""


PooledOptionsT = TypeVar("PooledOptionsT", bound=PooledOptions)


class PooledDistillation(PseudoLabelled[PooledOptionsT]):
    """Base of PLOP and of the methods that add to it."""

    def begin_step(self, ctx: StepContext) -> None:
        """Measure how sure the previous model is of each class: median entropies (PLOP, Sec. 3.3)."""
        if ctx.teacher_model is not None and ctx.old:
            least = self.options.threshold
            if self.options.threshold_unit == "authors":
                least *= (1 + len(ctx.teacher_model.structures)) * math.log(1 + len(ctx.structures))
            medians = class_medians(ctx, entropy)
            ctx.memory.data[self.key("thresholds")] = {key: max(item, least) for key, item in medians.items()}

    def threshold(self, ctx: StepContext) -> Tensor:
        """Return what :meth:`begin_step` found for the background and each old structure."""
        found = ctx.memory.data[self.key("thresholds")]
        return sent([found[item] for item in (BACKGROUND, *ctx.old)], ctx.device)

    def weights(self, found: PseudoLabels, valid: Tensor) -> Tensor:
        """Leave out what was rejected, and lower the weight of an item by the share of it (PLOP, Eq. 9-10)."""
        share = found.share(valid)
        return ~found.rejected * share.view(-1, *[1] * (valid.ndim - 1))

    def preserve(self, outputs: Outputs, target: ClassTarget, ctx: StepContext) -> dict[str, Tensor]:
        """Return the local POD of all maps, averaged over maps as the authors do (PLOP, Eq. 6)."""
        maps = list(zip(*(_maps(output.features) for output in (outputs.student, outputs.teacher)), strict=True))
        apart = partial(local_pod, valid=target.valid, relative=self.options.pod_norm == "relative")
        terms = []
        if self.options.pod:
            terms += [self.options.pod * apart(now, before) for now, before in maps]
        if self.options.pod_logits:
            now, before = (
                _summed(outputs.student.logits, outputs.student_columns),
                _summed(outputs.teacher.logits, outputs.teacher_columns),
            )
            terms.append(self.options.pod_logits * apart(now, before))
        if not terms:
            return {}
        growth = math.sqrt((1 + len(ctx.structures)) / len(ctx.new))  # the authors': classes by new ones
        return {"pod": growth * torch.stack(terms).sum() / (len(maps) + 1)}

    def remember(self, ctx: StepContext) -> None:
        """Drop what was measured for this step alone."""
        ctx.memory.data.pop(self.key("thresholds"), None)


def _maps(features: Features) -> list[Tensor]:
    return [*features.encoder, features.abstraction, features.decoder]


def _summed(logits: Tensor, kept: Sequence[int]) -> Tensor:
    """Add the logits of everything that is not kept to the background's."""
    rest = [column for column in range(logits.shape[1]) if column not in kept]
    return torch.cat([picked(logits, rest).float().sum(1, keepdim=True), picked(logits, kept).float()], dim=1)
