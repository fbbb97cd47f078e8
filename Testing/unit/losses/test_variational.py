"""Divergences of the posterior from its prior, against torch.distributions and numbers by hand."""

import math

import pytest
import torch
from torch.distributions import Bernoulli, Beta, Normal, kl_divergence

from IncrementalSegLib.losses.variational import bernoulli_kl, beta_kl, expected_bernoulli_kl, gaussian_kl


def positive(seed, low=0.2, high=5.0, count=50):
    return low + (high - low) * torch.rand(count, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_the_gaussian_divergence_is_that_of_torch():
    mean, other = positive(1, -3, 3), positive(2, -3, 3)
    sigma, prior = positive(3), positive(4)
    expected = kl_divergence(Normal(mean, sigma), Normal(other, prior)).sum()
    torch.testing.assert_close(gaussian_kl(mean, sigma, other, prior), expected)


def test_the_beta_divergence_is_that_of_torch():
    a, b, prior_a, prior_b = (positive(seed) for seed in range(4))
    expected = kl_divergence(Beta(a, b), Beta(prior_a, prior_b)).sum()
    torch.testing.assert_close(beta_kl(a, b, prior_a, prior_b), expected)


def test_the_bernoulli_divergence_is_that_of_torch():
    p, prior = positive(5, 0.01, 0.99), positive(6, 0.01, 0.99)
    expected = kl_divergence(Bernoulli(p), Bernoulli(prior)).sum()
    found = bernoulli_kl(p.log(), (1 - p).log(), prior.log(), (1 - prior).log())
    torch.testing.assert_close(found, expected)


def test_divergences_by_hand():
    one = torch.ones(1, dtype=torch.float64)
    # ½ [ln(4) - 1 + (1 + 1) / 4] for N(1, 1) from N(0, 4)
    assert float(gaussian_kl(one, one, 0 * one, 2 * one)) == pytest.approx(0.5 * (math.log(4) - 1 + 0.5))
    # v ~ Beta(2, 1) has the density 2v: the integral of 2v ln(2v) is ln 2 - 1/2
    assert float(beta_kl(2 * one, one, one, one)) == pytest.approx(math.log(2) - 0.5)
    # 3/4 ln(3/4 / 1/2) + 1/4 ln(1/4 / 1/2)
    half, quarter, most = (torch.tensor([value]).log() for value in (0.5, 0.25, 0.75))
    assert float(bernoulli_kl(most, quarter, half, half)) == pytest.approx(0.75 * math.log(1.5) - 0.25 * math.log(2))


def test_the_mean_divergence_over_v_is_that_of_many_draws():
    log_odds, a, b = torch.tensor([0.7, -1.0]), torch.tensor([3.0, 1.5]), torch.tensor([2.0, 4.0])
    torch.manual_seed(0)
    drawn = Beta(a, b).sample((200_000,))
    expected = kl_divergence(Bernoulli(logits=log_odds.expand_as(drawn)), Bernoulli(drawn)).mean(0).sum()
    torch.testing.assert_close(expected_bernoulli_kl(log_odds, a, b), expected, rtol=0.01, atol=0.0)


def test_divergences_from_themselves_are_zero_and_their_gradients_too():
    mean, sigma, a, b, p = (positive(seed, 0.1, 0.9).requires_grad_() for seed in range(5))
    total = (
        gaussian_kl(mean, sigma, mean.detach(), sigma.detach())
        + beta_kl(a, b, a.detach(), b.detach())
        + bernoulli_kl(p.log(), (1 - p).log(), p.detach().log(), (1 - p).detach().log())
    )
    total.backward()
    assert float(total.detach()) == pytest.approx(0, abs=1e-12)
    assert all(float(item.grad.abs().max()) < 1e-12 for item in (mean, sigma, a, b, p))


def test_a_prior_of_almost_nothing_is_finite():
    """The 500th stick of Beta(1, 1) has a prior of 2 ** -500."""
    log_p, log_prior = torch.tensor([-0.1]), torch.tensor([-500 * math.log(2)])
    log_not_p = torch.log(-torch.expm1(log_p))
    found = bernoulli_kl(log_p, log_not_p, log_prior, torch.log(-torch.expm1(log_prior)))
    assert math.isfinite(found)
    assert float(found) == pytest.approx(math.exp(-0.1) * 500 * math.log(2), rel=0.01)
