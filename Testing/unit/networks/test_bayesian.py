"""Bayesian convolutions: what is drawn, what its mean is, and what becomes of a plain network."""

import copy

import pytest
import torch
from tiny import segmenter
from torch.distributions import Kumaraswamy

from IncrementalSegLib.networks.bayesian import (
    BayesianKernels,
    KernelMask,
    layers_of,
    log_complement,
    log_mean_sticks,
)
from IncrementalSegLib.networks.config import SegmenterConfig
from IncrementalSegLib.networks.segmenter import Segmenter
from IncrementalSegLib.networks.stochastic import Stochastic
from IncrementalSegLib.networks.trunks.unet import UNet, UNet2d, UNet3d
from IncrementalSegLib.networks.trunks.unet_bayes import BayesianUNet2d, BayesianUNet3d

PRIORS = ("stick_breaking", "beta_bernoulli")


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("prior", PRIORS)
@pytest.mark.parametrize(("plain", "kind"), [(UNet2d, BayesianUNet2d), (UNet3d, BayesianUNet3d)])
def test_a_plain_trunk_becomes_bayesian_without_a_change_of_its_features(prior, plain, kind):
    torch.manual_seed(0)
    config = SegmenterConfig(network="unet2d", widths=(4, 8, 16), mask_prior=prior)
    trunk = plain(config)
    image = torch.randn(2, 1, *[16] * plain.dimension)
    trunk(image)  # running statistics of its own
    other = kind.of(trunk.eval(), config).eval()
    with torch.no_grad():
        torch.testing.assert_close(other(image).decoder, trunk(image).decoder, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(other(image).abstraction, trunk(image).abstraction, rtol=1e-4, atol=1e-5)


def test_drawn_kernels_have_the_mean_and_the_spread_of_their_distribution():
    torch.manual_seed(0)
    layer = BayesianKernels(torch.nn.Conv2d(2, 3, 3, bias=False)).eval()
    with torch.no_grad():
        layer.rho += torch.rand_like(layer.rho)
    image = torch.zeros(1, 2, 3, 3)
    image[0, 1, 2, 0] = 1.0  # picks one element of each kernel
    Stochastic.seed(layer, generator())
    with Stochastic.sampling(layer, generator()), torch.no_grad():
        drawn = torch.stack([layer(image)[0, :, 0, 0] for _ in range(4000)])
    torch.testing.assert_close(drawn.mean(0), layer.mu.detach()[:, 1, 2, 0], rtol=0.02, atol=0.02)
    torch.testing.assert_close(drawn.std(0), layer.sigma.detach()[:, 1, 2, 0], rtol=0.05, atol=0.0)
    with torch.no_grad():
        assert torch.equal(layer(image), layer.mean(image))


def test_sticks_are_products_and_their_mean_is_the_product_of_means():
    a, b = torch.tensor([4.0, 2.0, 9.0]), torch.tensor([1.0, 1.0, 3.0])
    by_hand = torch.tensor([0.8, 0.8 * 2 / 3, 0.8 * 2 / 3 * 0.75])
    torch.testing.assert_close(log_mean_sticks(a, b).exp(), by_hand)
    torch.testing.assert_close(log_complement(by_hand.log()).exp(), 1 - by_hand)


def test_a_mask_is_concrete_bernoulli_of_a_product_of_kumaraswamy_sticks():
    """Against the same distribution made from the library's own, by its mean and spread."""
    mask = KernelMask(3, "stick_breaking")
    with torch.no_grad():
        mask.log_a.copy_(torch.tensor([4.0, 2.0, 9.0]).log())
        mask.log_b.copy_(torch.tensor([1.0, 1.5, 3.0]).log())
        mask.generator = generator()
        found = mask.sample(40_000, torch.device("cpu"))
        torch.manual_seed(1)
        stick = Kumaraswamy(mask.a, mask.b).sample((40_000,)).cumprod(1)
        expected = ((stick.logit(1e-6) + torch.rand(40_000, 3).logit(1e-6)) / 2.0).sigmoid()
    assert found.min() > 0
    assert found.max() < 1
    torch.testing.assert_close(found.mean(0), expected.mean(0), rtol=0.02, atol=0.0)
    torch.testing.assert_close(found.std(0), expected.std(0), rtol=0.02, atol=0.0)


@pytest.mark.parametrize("prior", PRIORS)
def test_no_kernel_starts_switched_off(prior):
    mask = KernelMask(512, prior)
    probability = mask.log_probability.exp()
    assert probability.min() > 0.87
    assert mask.prior_b.eq(1).all()
    assert mask.prior_a.eq(1 if prior == "stick_breaking" else 4 / 512).all()
    features = torch.ones(2, 512, 3, 3)
    assert torch.equal(mask.eval()(features), mask.median.view(1, -1, 1, 1) * features)


@pytest.mark.parametrize("prior", PRIORS)
def test_passes_differ_the_mean_does_not_and_a_seed_repeats(prior):
    model = segmenter(network="unet2d-bayes", dropout=0.0, output="classes", mask_prior=prior).eval()
    image = torch.randn(2, 1, 32, 32)
    one, again = ([*model.monte_carlo(image, 3, generator(seed))] for seed in (1, 1))
    assert all(torch.equal(*pair) for pair in zip(one, again, strict=True))
    assert not torch.equal(one[0], one[1])
    with torch.no_grad():
        assert torch.equal(model(image).logits, model(image).logits)


def test_a_bayesian_model_is_rebuilt_from_its_weights():
    model = segmenter(network="unet2d-bayes", output="classes", mask_prior="beta_bernoulli")
    for kernels, mask in layers_of(model):
        kernels.renew_prior()
        mask.renew_prior()
    again = Segmenter.from_architecture(model.architecture(), model.state_dict())
    pairs = [*zip(layers_of(again), layers_of(model), strict=True)]
    assert len(pairs) == 2 * 2 + 2 + 3 * 2
    for (kernels, mask), (other, before) in pairs:
        assert torch.equal(kernels.prior_mean, other.mu)
        assert torch.equal(kernels.prior_sigma, other.sigma)
        assert torch.equal(mask.prior_a, before.a)
    assert copy.deepcopy(model).architecture() == model.architecture()


def test_every_parameter_of_the_posterior_gets_a_gradient():
    trunk = BayesianUNet2d(SegmenterConfig(network="unet2d-bayes", widths=(4, 8, 16)))
    trunk(torch.randn(2, 1, 16, 16)).decoder.square().mean().backward()
    assert [name for name, weight in trunk.named_parameters() if not weight.grad.abs().any()] == []


@pytest.mark.parametrize("prior", PRIORS)
def test_it_is_built_without_memory_as_packages_are_checked(prior):
    config = SegmenterConfig(network="unet2d-bayes", widths=(4, 8, 16), mask_prior=prior)
    with torch.device("meta"):
        shapes = {name: item.shape for name, item in BayesianUNet2d(config).state_dict().items()}
    assert shapes == {name: item.shape for name, item in BayesianUNet2d(config).state_dict().items()}


def test_passes_share_a_few_encodings(monkeypatch):
    model = segmenter(network="unet2d-bayes", dropout=0.0, output="classes").eval()
    encode, counts = type(model.trunks[0]).encode, []
    monkeypatch.setattr(type(model.trunks[0]), "encode", lambda *args: counts.append(1) or encode(*args))
    image = torch.randn(1, 1, 32, 32)
    first, *_, last = model.monte_carlo(image, 10, generator(), encodings=4)
    assert len(counts) == 4
    assert not torch.equal(first, last)
    one = [*model.monte_carlo(image, 3, generator(), encodings=1)]
    assert len(counts) == 5
    assert not torch.equal(one[0], one[1])  # the last convolution differs
    assert len([*model.monte_carlo(image, 3, generator(), encodings=9)]) == 3
    assert len(counts) == 8


def test_the_halves_of_a_bayesian_trunk_are_the_plain_network():
    model = segmenter(network="unet2d-bayes", dropout=0.0, output="classes").eval()
    image, trunk = torch.randn(2, 1, 32, 32), model.trunks[0]
    with torch.no_grad():
        found = trunk.decode(trunk.encode(image))
        features = UNet.decode(trunk, UNet.encode(trunk, image))
    assert torch.equal(found.decoder, features.decoder)
    assert torch.equal(found.decoder_dropped, features.decoder_dropped)
    assert torch.equal(found.abstraction, features.abstraction)
