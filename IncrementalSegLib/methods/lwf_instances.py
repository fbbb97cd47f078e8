"""LwF for one scan after another of the same structures: the model before a scan is its teacher."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor
from torch.func import functional_call

from IncrementalSegLib.losses.classes import distillation
from IncrementalSegLib.methods.base.context import StepContext
from IncrementalSegLib.methods.base.softmax_classes import ClassOptions, ClassTarget, SoftmaxClasses, columns
from IncrementalSegLib.networks.output import Output
from IncrementalSegLib.registry import register
from IncrementalSegLib.sampling.batch import Batch

TEACHER = "teacher/"
"""Begins the names of the weights before the present scan of a session."""


class LwfInstancesOptions(ClassOptions):
    """Options of LwF for instances."""

    distillation: float = Field(1.0, ge=0)
    """Weight of the distillation, which is a sum over classes; the original LwF takes 1."""
    temperature: float = Field(2.0, gt=0)
    """Of both softmaxes; the original LwF takes 2."""


@register("method", "lwf-instances")
class LwfInstances(SoftmaxClasses[LwfInstancesOptions]):
    """Distillation of all outputs, those that are taught included, for scan after scan of the same structures."""

    needs = frozenset({"teacher"})
    source = "Li & Hoiem, ECCV 2016, Eq. 1-3, as compared by Zheng et al., AAAI 2021 (CLIS); details inferred"
    balanced = False

    def training_loss(self, batch: Batch, ctx: StepContext) -> dict[str, Tensor]:
        """Return what labels teach and, where there is a teacher, its distillation on every voxel that counts."""
        logits, target = ctx.model(batch.image).logits, self.target(batch, ctx)
        terms = {} if batch.source == "unlabelled" else self.classify(logits, target, ctx)
        if ctx.teacher_model is not None and self.options.distillation:
            terms["distillation"] = self.options.distillation * self._distil(logits, batch, target, ctx)
        return terms

    def next_scan(self, ctx: StepContext) -> None:
        """Make the model as it is now the teacher of the scans to come."""
        weights = {name: value.detach().clone() for name, value in ctx.model.state_dict().items()}
        ctx.memory.replace_group(self.key(TEACHER), weights)

    def remember(self, ctx: StepContext) -> None:
        """Drop the teacher of the last scan of a session; that of the next step is the version."""
        ctx.memory.replace_group(self.key(TEACHER), {})

    def _distil(self, logits: Tensor, batch: Batch, target: ClassTarget, ctx: StepContext) -> Tensor:
        """Return the distillation over the background and all structures of the teacher."""
        assert ctx.teacher_model is not None
        known = ctx.teacher_model.structures
        before, now = columns(ctx.teacher_model, known), columns(ctx.model, known)
        teacher = self._teacher(batch.image, ctx).logits
        term = distillation(logits, teacher, now, before, target.valid, temperature=self.options.temperature)
        return (1 + len(known)) * term

    def _teacher(self, image: Tensor, ctx: StepContext) -> Output:
        """Run the model as it was before the present scan of a session, or before the step."""
        weights = ctx.memory.group(self.key(TEACHER), ctx.device)
        if not weights:
            return ctx.teacher(image)
        assert ctx.teacher_model is not None
        with torch.no_grad():
            output: Output = functional_call(ctx.teacher_model, weights, (image,))
        return output
