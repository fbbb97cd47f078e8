"""CLIS: a Bayesian network whose prior is what the steps before have learned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from IncrementalSegLib.errors import ModelError
from IncrementalSegLib.losses.variational import bernoulli_kl, beta_kl, expected_bernoulli_kl, gaussian_kl
from IncrementalSegLib.methods.base.context import StepContext
from IncrementalSegLib.methods.base.method import TrainingPhase
from IncrementalSegLib.methods.base.softmax_classes import (
    ClassOptions,
    ClassTarget,
    Outputs,
    SoftmaxClasses,
    distillation,
)
from IncrementalSegLib.networks.bayesian import LOG_ODDS, KernelMask, layers_of, log_complement, log_mean_sticks
from IncrementalSegLib.networks.config import MaskPrior, SegmenterConfig
from IncrementalSegLib.networks.segmenter import Segmenter
from IncrementalSegLib.networks.task_memory import TaskMemory
from IncrementalSegLib.registry import find, names, register
from IncrementalSegLib.sampling.batch import Batch
from IncrementalSegLib.types import StructureId

SUFFIX = "-bayes"
"""Ends the name of a network that is the Bayesian form of another."""

PROPOSED = "proposed"
"""Name of the first phase of a step with proposed kernels, and of their list."""

UNUSED, NOISE = 0.1, 1e-2
"""Largest mean of an unused kernel, and the noise that a proposed one gets; the authors' values."""


class ClisOptions(ClassOptions):
    """Options of CLIS."""

    kl_weight: float = Field(1.0, ge=0)
    """Weight of the divergences from the prior."""
    kl_divisor: Literal["step", "item", "none"] = "step"
    """Divisor of the divergences beside a cross-entropy per voxel: all voxels of the step's scans, which makes the sum
    the evidence lower bound; the voxels of one slice or crop, as in the authors' code; or none, as printed (Eq. 6)."""
    distillation: float = Field(10.0, ge=0)
    """Weight of MiB's distillation of the structures that the step does not teach; our own extension, because the paper
    teaches no new structures and the divergences alone do not keep the old ones."""
    mask_prior: MaskPrior = "stick_breaking"
    """Prior of the kernel masks, fixed when a network becomes Bayesian: stick-breaking as in the paper, or
    independent probabilities as in the authors' code."""
    proposals: int = Field(0, ge=0)
    """Unused kernels of each layer, with a mean of their Beta distribution below 0.1, that a later step tries: 4 in the
    authors' code. They get noise, a wide prior and log odds of 2, and train alone in the first half of the step. Needs
    ``mask_prior=beta_bernoulli``, because a kernel is never likelier than the one before it with stick-breaking."""
    task_memory: bool = True
    """Choose the masks for a scan by the most similar scan that taught; without it all scans share the newest masks."""
    task_limit: float | None = Field(None, ge=0)
    """Largest divergence in nats, averaged over both directions, between scans that are alike; beyond it a scan gets
    the masks of the first step. By default it is measured on the scans of that step; the authors' 8 is for their own
    embedding."""


@register("method", "clis")
class Clis(SoftmaxClasses[ClisOptions]):
    """A Bayesian network held to the distribution of its weights before the step.

    A plain network becomes Bayesian at its first step with this method, and segments as before.
    """

    needs = frozenset({"teacher"})
    source = "Zheng, Yu, Li, Shi & Haake, AAAI 2021 (CLIS), Eq. 1-9"

    def design(self, config: SegmenterConfig) -> SegmenterConfig:
        """Take the Bayesian form of the network, without dropout."""
        return _bayesian(config, self.options.mask_prior).model_copy(update={"dropout": 0.0})

    def grow(self, model: Segmenter, new: Sequence[StructureId], ctx: StepContext) -> None:
        """Make the network Bayesian where it is not, and add balanced rows and a task memory."""
        if len(model.trunks) and next(layers_of(model), None) is None:
            model.config = _bayesian(model.config, self.options.mask_prior)
            kind = find("network", model.config.network)
            model.trunks[0] = kind.of(model.trunk(0), model.config)
        super().grow(model, new, ctx)
        if not self.options.task_memory:
            model.tasks = None
        elif model.tasks is None:
            model.tasks = TaskMemory(model)
        if model.tasks is not None and self.options.task_limit is not None:
            model.tasks.limit.fill_(self.options.task_limit)

    def begin_step(self, ctx: StepContext) -> None:
        """Make the distribution before the step the prior; before the first step that is N(0, 1) and Beta(1, 1)."""
        if ctx.teacher_model is not None:
            _renew_priors(ctx.model)
            if self.options.proposals:
                self._propose(ctx)

    def phases(self, ctx: StepContext) -> tuple[TrainingPhase, ...]:
        """Train proposed kernels alone first, where there are some."""
        if self.key(PROPOSED) not in ctx.memory.tensors:
            return super().phases(ctx)
        frozen = self.freezes_norm(ctx)
        return tuple(TrainingPhase(name, share=0.5, freeze_norm=frozen) for name in (PROPOSED, "train"))

    def after_backward(self, ctx: StepContext) -> None:
        """Hold everything but the proposed kernels where these train alone."""
        if ctx.phase != PROPOSED:
            return
        kept: dict[Tensor, Tensor] = {}
        proposed = ctx.memory.tensors[self.key(PROPOSED)].to(ctx.device)
        for layer, mask in layers_of(ctx.model):
            own, proposed = proposed.split([len(mask.log_a), len(proposed) - len(mask.log_a)])
            kept |= {layer.mu: layer.spread(own), layer.rho: layer.spread(own)}
            kept |= dict.fromkeys(mask.parameters(), own)
        for parameter in ctx.model.parameters():
            if parameter.grad is not None:
                parameter.grad = parameter.grad * kept[parameter] if parameter in kept else None

    def next_scan(self, ctx: StepContext) -> None:
        """Make the distribution after the scan before the prior: each scan of a session is a task (Eq. 5)."""
        _renew_priors(ctx.model)

    def remember(self, ctx: StepContext) -> None:
        """Drop what was proposed for this step alone."""
        ctx.memory.tensors.pop(self.key(PROPOSED), None)

    @torch.no_grad()
    def _propose(self, ctx: StepContext) -> None:
        """Choose unused kernels and start them anew."""
        random = ctx.generator(1)
        found = []
        for layer, mask in layers_of(ctx.model):
            if mask.log_odds is None:
                raise ModelError(
                    "The masks of the model are stick-breaking, which cannot propose a single kernel.",
                    "Their prior was fixed when the network became Bayesian.",
                    "Leave out proposals, or begin a model with mask_prior=beta_bernoulli.",
                )
            unused = mask.a / (mask.a + mask.b) < UNUSED
            chosen = unused & (unused.cumsum(0) <= self.options.proposals)
            noise = torch.randn(layer.mu.shape, generator=random).to(layer.mu)
            layer.mu.add_(NOISE * noise * layer.spread(chosen))
            layer.prior_sigma.masked_fill_(layer.spread(chosen), 1.0)
            mask.log_odds.masked_fill_(chosen, LOG_ODDS)
            found.append(chosen.cpu())
        proposed = torch.cat(found)
        if proposed.any():
            ctx.memory.tensors[self.key(PROPOSED)] = proposed

    def training_loss(self, batch: Batch, ctx: StepContext) -> dict[str, Tensor]:
        """Return what labels teach, and the divergences from the prior (Eq. 6)."""
        terms = super().training_loss(batch, ctx)
        if self.options.kl_weight:
            weight = self.options.kl_weight / self._voxels(batch, ctx)
            terms |= {name: weight * value for name, value in divergences(ctx.model).items()}
        return terms

    def preserve(self, outputs: Outputs, target: ClassTarget, ctx: StepContext) -> dict[str, Tensor]:
        """Return the unbiased distillation of the structures that the step does not teach."""
        return distillation(self.options.distillation, outputs, target)

    def _voxels(self, batch: Batch, ctx: StepContext) -> int:
        """Return the divisor of the divergences."""
        if self.options.kl_divisor == "none":
            return 1
        if self.options.kl_divisor == "item":
            return batch.ignore[0].numel()
        return sum(case.image[0].numel() for case in ctx.cases)


def divergences(model: Segmenter) -> dict[str, Tensor]:
    """Return the divergences of a Bayesian network from its prior, in nats (Eq. 6): kernels, sticks and masks."""
    kernels, sticks, masks = [], [], []
    for layer, mask in layers_of(model):
        kernels.append(gaussian_kl(layer.mu, layer.sigma, layer.prior_mean, layer.prior_sigma))
        sticks.append(beta_kl(mask.a, mask.b, mask.prior_a, mask.prior_b))
        masks.append(_mask_divergence(mask))
    return {
        f"kl_{name}": torch.stack(each).sum()
        for name, each in (("kernels", kernels), ("sticks", sticks), ("masks", masks))
    }


def _renew_priors(model: Segmenter) -> None:
    """Make the posterior the prior of all kernels and masks."""
    for kernels, mask in layers_of(model):
        kernels.renew_prior()
        mask.renew_prior()


def _mask_divergence(mask: KernelMask) -> Tensor:
    """Return the divergence of a mask at the mean probabilities of both; without stick-breaking its mean over ``v``."""
    if mask.log_odds is not None:
        return expected_bernoulli_kl(mask.log_odds, mask.a, mask.b)
    now, before = mask.log_probability, log_mean_sticks(mask.prior_a, mask.prior_b)
    return bernoulli_kl(now, log_complement(now), before, log_complement(before))


def _bayesian(config: SegmenterConfig, prior: MaskPrior) -> SegmenterConfig:
    """Return a configuration with the Bayesian form of its network."""
    network = config.network.removesuffix(SUFFIX) + SUFFIX
    if network not in names("network"):
        known = [name.removesuffix(SUFFIX) for name in names("network") if name.endswith(SUFFIX)]
        raise ModelError(
            f"The network {config.network} has no Bayesian form, which the method clis needs.",
            todo=f"Use {' or '.join(known)}, or another method.",
        )
    return config.model_copy(update={"network": network, "mask_prior": prior})
