"""Bayesian convolutions: Gaussian kernels, each switched by a random mask (CLIS, Eq. 1-3 and 8).

Kernels are drawn once for a batch, masks for each of its items.  Outside of training and of Monte Carlo passes a
network is its mean: the means of the kernels, and the medians of the masks at the mean probabilities.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, cast

import torch
from monai.networks.blocks import Convolution
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from IncrementalSegLib.networks.config import MaskPrior
from IncrementalSegLib.networks.stochastic import Stochastic

TEMPERATURE = 2.0
"""Of the concrete Bernoulli distribution; the paper's value, the authors' code has 1."""

LAST_KERNEL = 0.9
"""Initial probability of the last kernel of a layer; our own choice, so that no kernel starts switched off."""

LOG_ODDS = 2.0
"""Initial log odds of a kernel without stick-breaking, and of a proposed one: those of the authors' proposals."""

SPREAD = 0.1
"""Initial standard deviation of a kernel relative to that of the weights of its layer; our own choice."""


class BayesianKernels(Stochastic):
    """A convolution whose kernels have independent normal elements.

    Args:
        convolution: Holds the means, and runs with drawn kernels too.

    Attributes:
        rho: The standard deviations are ``softplus(rho)``.
        prior_mean: Means of the prior; 0 before the first step.
        prior_sigma: Standard deviations of the prior; 1 before the first step.
    """

    prior_mean: Tensor
    prior_sigma: Tensor

    def __init__(self, convolution: nn.Module) -> None:
        super().__init__()
        self.mean = convolution
        weight = self.mu.detach()
        self.rho = nn.Parameter(torch.ones_like(weight) * _before_softplus(SPREAD * weight.std()))
        self.register_buffer("prior_mean", torch.zeros_like(weight))
        self.register_buffer("prior_sigma", torch.ones_like(weight))

    @property
    def mu(self) -> Tensor:
        """Means, in the layout of the convolution's weight."""
        return cast(Tensor, self.mean.weight)

    @property
    def sigma(self) -> Tensor:
        """Standard deviations."""
        return F.softplus(self.rho)

    def forward(self, features: Tensor) -> Tensor:
        """Convolve ``(B, F, *S)`` with the means, or with kernels drawn for the batch."""
        if not self.active:
            return cast(Tensor, self.mean(features))
        weight = self.mu + self.sigma * self.normal(self.mu.shape, self.mu.device)
        return cast(Tensor, functional_call(self.mean, {"weight": weight}, (features,)))

    def spread(self, values: Tensor) -> Tensor:
        """Return one value for each kernel ``(K,)`` in a form that multiplies the weights."""
        transposed = bool(cast(Any, self.mean).transposed)
        shape = [1] * self.mu.ndim
        shape[int(transposed)] = -1
        return values.view(shape)

    @torch.no_grad()
    def renew_prior(self) -> None:
        """Make the posterior the prior (variational continual learning, Eq. 5)."""
        self.prior_mean.copy_(self.mu)
        self.prior_sigma.copy_(self.sigma)


class KernelMask(Stochastic):
    """A mask between 0 and 1 on the output of each of K kernels.

    Stick-breaking: a kernel is on with the product of its own and all earlier ``v ~ Beta(a, b)`` (Eq. 2).
    Beta-Bernoulli, as in the authors' code: it is on with a probability of its own, whose prior is ``v``.

    Args:
        kernels: K.
        prior: Form of the prior.

    Attributes:
        log_a: Logarithms of ``a``, ``(K,)``.
        log_b: Logarithms of ``b``.
        log_odds: Own log odds of each kernel; absent with stick-breaking.
        prior_a: ``a`` of the prior: 1, or without stick-breaking the authors' 4 / K.
        prior_b: ``b`` of the prior: 1.
    """

    prior_a: Tensor
    prior_b: Tensor
    log_odds: Tensor | None

    def __init__(self, kernels: int, prior: MaskPrior) -> None:
        super().__init__()
        sticks = prior == "stick_breaking"
        mean = LAST_KERNEL ** (1 / kernels) if sticks else 1 / (1 + math.exp(-LOG_ODDS))
        odds = torch.full((kernels,), mean / (1 - mean))
        self.log_a = nn.Parameter(odds.log())
        self.log_b = nn.Parameter(torch.zeros(kernels))
        self.register_parameter("log_odds", None if sticks else nn.Parameter(torch.full((kernels,), LOG_ODDS)))
        self.register_buffer("prior_a", torch.full((kernels,), 1.0 if sticks else 4 / kernels))
        self.register_buffer("prior_b", torch.ones(kernels))

    @property
    def a(self) -> Tensor:
        """First parameter of each Beta distribution."""
        return self.log_a.exp()

    @property
    def b(self) -> Tensor:
        """Second parameter of each Beta distribution."""
        return self.log_b.exp()

    @property
    def log_probability(self) -> Tensor:
        """Logarithm of the mean probability that each kernel is on, ``(K,)``."""
        if self.log_odds is not None:
            return F.logsigmoid(self.log_odds)
        return log_mean_sticks(self.a, self.b)

    def forward(self, features: Tensor) -> Tensor:
        """Return ``(B, K, *S)`` times a mask that is drawn for each item, or the median one."""
        mask = self.taken(self.sample(self.draws(len(features)), features.device)) if self.active else self.median[None]
        return features * mask.to(features.dtype).view(*mask.shape, *[1] * (features.ndim - 2))

    @property
    def median(self) -> Tensor:
        """The mask ``(K,)`` without noise."""
        return (self._log_odds(self.log_probability) / TEMPERATURE).sigmoid()

    def sample(self, count: int, device: torch.device) -> Tensor:
        """Return masks ``(count, K)``, concrete Bernoulli (Eq. 8).

        A stick is drawn from Kumaraswamy's distribution, which can be differentiated and equals Beta where ``b`` is 1;
        the authors' code does so too.
        """
        shape = (count, len(self.log_a))
        if self.log_odds is None:
            drawn = (1 - self.uniform(shape, device) ** (1 / self.b)).clamp_min(1e-6)
            odds = self._log_odds((drawn.log() / self.a).cumsum(1))
        else:
            odds = self.log_odds
        return ((odds + self.uniform(shape, device).logit()) / TEMPERATURE).sigmoid()

    def _log_odds(self, log_probability: Tensor) -> Tensor:
        return self.log_odds if self.log_odds is not None else log_probability - log_complement(log_probability)

    @torch.no_grad()
    def renew_prior(self) -> None:
        """Make the posterior the prior."""
        self.prior_a.copy_(self.a)
        self.prior_b.copy_(self.b)


def log_mean_sticks(a: Tensor, b: Tensor) -> Tensor:
    """Return the logarithm of the mean of ``v_1 ... v_k`` for independent ``v ~ Beta(a, b)``, each ``(K,)``."""
    return (a.log() - (a + b).log()).cumsum(0)


def log_complement(log_probability: Tensor) -> Tensor:
    """Return ``log(1 - p)`` for ``log p``; a ``p`` of 1 counts as a little less."""
    return (-torch.expm1(log_probability.clamp_max(-1e-6))).log()


def make_bayesian(trunk: nn.Module, prior: MaskPrior) -> None:
    """Replace every convolution of a trunk by a Bayesian one; its mean network gives what the trunk gave.

    The mask follows normalisation and ReLU, where it switches a kernel off completely; normalisation starts scaled by
    the inverse of the mask.
    """
    for block in blocks_of(trunk):
        kernels = int(cast(Any, block.conv).out_channels)
        mask = KernelMask(kernels, prior)
        block.conv = BayesianKernels(cast(nn.Module, block.conv))
        block.add_module("mask", mask)
        norm = cast(Any, block.adn).N
        with torch.no_grad():
            norm.weight /= mask.median
            norm.bias /= mask.median


def blocks_of(model: nn.Module) -> Iterator[Convolution]:
    """Yield the convolutions of a trunk or segmenter with their normalisation and, where it is Bayesian, their mask."""
    return (module for module in model.modules() if isinstance(module, Convolution))


def layers_of(model: nn.Module) -> Iterator[tuple[BayesianKernels, KernelMask]]:
    """Yield kernels and mask of every Bayesian convolution of a model."""
    for block in blocks_of(model):
        if isinstance(block.conv, BayesianKernels):
            yield block.conv, cast(KernelMask, block.mask)


def _before_softplus(value: Tensor) -> Tensor:
    return value + (-torch.expm1(-value)).log()
