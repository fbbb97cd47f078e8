"""Kullback-Leibler divergences of the variational posterior from its prior, in closed form (CLIS, Eq. 6, 7 and 9).

Each is a sum over all elements, in nats.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def gaussian_kl(mean: Tensor, sigma: Tensor, prior_mean: Tensor, prior_sigma: Tensor) -> Tensor:
    """Return the divergence of independent normal distributions from others of the same shape."""
    ratio = (sigma / prior_sigma).square()
    moved = ((mean - prior_mean) / prior_sigma).square()
    return 0.5 * (ratio + moved - 1 - ratio.log()).sum()


def beta_kl(a: Tensor, b: Tensor, prior_a: Tensor, prior_b: Tensor) -> Tensor:
    """Return the divergence of Beta distributions from others of the same shape (Eq. 7)."""
    return (
        _log_beta(prior_a, prior_b)
        - _log_beta(a, b)
        + (a - prior_a) * a.digamma()
        + (b - prior_b) * b.digamma()
        + (prior_a + prior_b - a - b) * (a + b).digamma()
    ).sum()


def bernoulli_kl(log_p: Tensor, log_not_p: Tensor, prior_log_p: Tensor, prior_log_not_p: Tensor) -> Tensor:
    """Return the divergence of Bernoulli distributions (Eq. 9, whose printed second term is garbled).

    Args:
        log_p: Logarithms of the probabilities.
        log_not_p: Logarithms of one minus the probabilities.
        prior_log_p: The same of the prior.
        prior_log_not_p: The same of the prior.
    """
    return (log_p.exp() * (log_p - prior_log_p) + log_not_p.exp() * (log_not_p - prior_log_not_p)).sum()


def expected_bernoulli_kl(log_odds: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Return the mean divergence of Bernoulli distributions from those with a probability ``v ~ Beta(a, b)``."""
    total = (a + b).digamma()
    return bernoulli_kl(F.logsigmoid(log_odds), F.logsigmoid(-log_odds), a.digamma() - total, b.digamma() - total)


def _log_beta(a: Tensor, b: Tensor) -> Tensor:
    return torch.lgamma(a) + torch.lgamma(b) - torch.lgamma(a + b)
