"""EWC: each weight is held by its Fisher information, which says how much earlier steps depend on it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from IncrementalSegLib.errors import CommandRef, Hint, MissingNeedError
from IncrementalSegLib.losses.classes import masked_mean, unbiased_cross_entropies
from IncrementalSegLib.methods.base.context import StepContext
from IncrementalSegLib.methods.base.softmax_classes import ClassOptions, ClassTarget, SoftmaxClasses
from IncrementalSegLib.registry import register
from IncrementalSegLib.sampling.batch import Batch
from IncrementalSegLib.sampling.patches import PatchPool

FISHER = "fisher"
"""Name of the Fisher information of all steps, by weight, and of the list of structures that it is about."""

EARLIER = "earlier"
"""Name of the Fisher information without that of the last step, so that this one can be computed again."""

ANCHOR = "anchor"
"""Name of the weights at the beginning of a step."""


class EwcOptions(ClassOptions):
    """Options of EWC."""

    penalty: float = Field(0.1, ge=0)
    """Weight of the penalty: half the sum of the squared changes of the weights, each times its Fisher information.
    That of a step has a mean of 1 over the network, so it does not depend on the size of the network or the scale of
    the loss; 0.1 is our own choice."""
    decay: float = Field(0.95, ge=0, le=1)
    """Factor on the Fisher information of earlier steps when that of a step is added; our own choice."""
    labels: Literal["sampled", "empirical"] = "sampled"
    """Labels for the Fisher information: drawn from the model's output, which is its definition, or those of the
    scans, which is the empirical form."""
    images: int = Field(200, ge=1)
    """Slices or crops from which it is computed at most; no more than cover the scans."""


@register("method", "ewc")
class Ewc(SoftmaxClasses[EwcOptions]):
    """A penalty on changes of the weights that matter for older structures; needs no exemplars.

    Online form: one sum of the Fisher information of all steps, and the weights of the last one.  New rows start
    balanced and label 0 may hide old structures, as in MiB: our own choice.
    """

    needs = frozenset({"memory:fisher"})
    source = "Kirkpatrick et al., PNAS 2017, Eq. 3, in the online form of Schwarz et al., ICML 2018, Eq. 9"

    def begin_step(self, ctx: StepContext) -> None:
        """Fix the weights to which the penalty holds the network.

        They are those of the grown network, in which balanced rows have moved the background's bias.

        Raises:
            MissingNeedError: The Fisher information is that of another network.
        """
        if ctx.teacher_model is None:
            return
        fisher, before = self._stored(FISHER, ctx), {name for name, _ in ctx.teacher_model.named_parameters()}
        old = {name: weight for name, weight in _trained(ctx).items() if name in before}
        if any(name not in fisher or fisher[name].shape != weight.shape for name, weight in old.items()):
            raise MissingNeedError(
                "The Fisher information of the model is that of another network.",
                "A step with another method has changed the network since.",
                Hint(
                    "Choose another method, or compute it from the old scans: ",
                    CommandRef("remember", {"data": "OLD_DATA", "method": self.registered_name}),
                    ".",
                ),
            )
        self._store(ANCHOR, {name: weight.detach().clone() for name, weight in old.items()}, ctx)

    def training_loss(self, batch: Batch, ctx: StepContext) -> dict[str, Tensor]:
        """Return what labels teach and, after the first step, the penalty."""
        terms = self.classify(ctx.model(batch.image).logits, self.target(batch, ctx), ctx)
        if self.options.penalty and (anchor := self._stored(ANCHOR, ctx)):
            terms["penalty"] = self.options.penalty * self._distance(anchor, ctx)
        return terms

    def next_scan(self, ctx: StepContext) -> None:
        """Take each scan of a session for a step: add its Fisher information, and hold the present weights."""
        self.remember(ctx)
        self.begin_step(ctx)

    def remember(self, ctx: StepContext) -> None:
        """Add the Fisher information of the finished step to that of the steps before.

        Called again for the same structures of a finished version, it replaces what the last step has added.
        """
        found = ctx.memory.data.get(self.key(FISHER), {"structures": [], "last": []})
        added = sorted(ctx.new)
        finishing = bool(self._stored(ANCHOR, ctx))
        before = self._stored(FISHER if finishing or found["last"] != added else EARLIER, ctx)
        own = normalised(self._information(ctx))
        known = {name: value for name, value in before.items() if name in own and value.shape == own[name].shape}
        total = {
            name: value + self.options.decay * known[name] if name in known else value for name, value in own.items()
        }
        self._store(FISHER, total, ctx)
        self._store(EARLIER, known, ctx)
        self._store(ANCHOR, {}, ctx)
        structures = list(dict.fromkeys([*found["structures"], *ctx.new]))
        ctx.memory.data[self.key(FISHER)] = {"structures": structures, "last": added}

    def _distance(self, anchor: dict[str, Tensor], ctx: StepContext) -> Tensor:
        """Return half the sum of squared changes, weighted by the Fisher information."""
        fisher, now = self._stored(FISHER, ctx), dict(ctx.model.named_parameters())
        return (
            0.5
            * torch.stack([(fisher[name] * (now[name] - then).square()).sum() for name, then in anchor.items()]).sum()
        )

    def _information(self, ctx: StepContext) -> dict[str, Tensor]:
        """Return the mean over images of the squared gradient of an image's mean cross-entropy, by weight."""
        weights, training = _trained(ctx), ctx.model.training
        pool, generator = PatchPool(ctx.cases, ctx.structures, ctx.new, ctx.plan, "new"), ctx.generator()
        covering = sum(
            math.prod(math.ceil(size / room) for size, room in zip(case.image.shape[1:], ctx.plan.patch, strict=True))
            for case in ctx.cases
        )
        count = min(self.options.images, covering)
        found = {name: torch.zeros_like(weight) for name, weight in weights.items()}
        ctx.model.eval()
        for _ in range(count):
            batch = pool.draw(1, generator).to(ctx.device)
            target = self.target(batch, ctx)
            losses = self._losses(ctx.model(batch.image).logits.float(), target, generator, ctx)
            loss = masked_mean(losses, target.valid)
            gradients = torch.autograd.grad(loss, list(weights.values()), allow_unused=True)
            for name, gradient in zip(weights, gradients, strict=True):
                if gradient is not None:
                    found[name] += gradient.square() / count
        ctx.model.train(training)
        return found

    def _losses(self, logits: Tensor, target: ClassTarget, generator: torch.Generator, ctx: StepContext) -> Tensor:
        """Return the cross-entropies ``(B, *S)`` whose gradients make the Fisher information."""
        if self.options.labels == "empirical":
            return unbiased_cross_entropies(logits, target.column, self.hidden(target, ctx))
        return F.cross_entropy(logits, drawn_labels(logits.detach(), generator), reduction="none")

    def _stored(self, kind: str, ctx: StepContext) -> dict[str, Tensor]:
        """Return the tensors of one kind by the name of their weight."""
        return ctx.memory.group(self.key(f"{kind}/"), ctx.device)

    def _store(self, kind: str, values: Mapping[str, Tensor], ctx: StepContext) -> None:
        """Replace the tensors of one kind."""
        ctx.memory.replace_group(self.key(f"{kind}/"), values)


def _trained(ctx: StepContext) -> dict[str, Tensor]:
    """Return the weights that training changes, by name, so without the encoder of scans."""
    return {name: weight for name, weight in ctx.model.named_parameters() if weight.requires_grad}


def normalised(fisher: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return a Fisher information with a mean of 1 over all weights; all zeros stay."""
    total = sum(float(value.sum()) for value in fisher.values())
    count = sum(value.numel() for value in fisher.values())
    return {name: value * (count / total) for name, value in fisher.items()} if total > 0 else fisher


def drawn_labels(logits: Tensor, generator: torch.Generator) -> Tensor:
    """Return a column ``(B, *S)`` int64 for each voxel of ``(B, C, *S)``, drawn from the softmax."""
    chance = torch.rand((len(logits), 1, *logits.shape[2:]), generator=generator).to(logits.device)
    return (logits.softmax(1).cumsum(1) < chance).sum(1).clamp_max(logits.shape[1] - 1)
