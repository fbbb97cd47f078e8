"""CLIS: the prior of a step is the posterior before it, and a plain model becomes Bayesian without a change."""

import math

import pytest
import torch
from tiny import SQUARE, batch, bits, cases, changed, context, method, trainer
from torch.distributions import Beta, Normal, kl_divergence

from IncrementalSegLib.errors import ModelError
from IncrementalSegLib.methods.clis import divergences
from IncrementalSegLib.networks.bayesian import layers_of
from IncrementalSegLib.networks.config import SegmenterConfig


def total(model):
    return sum(float(value.detach()) for value in divergences(model).values())


def test_the_first_prior_is_the_papers_and_later_ones_are_posteriors():
    chosen = method("clis")
    first, later = context(chosen, old=()), context(chosen)
    assert total(first.model) > 1000
    assert total(later.model) == pytest.approx(0, abs=1e-2)
    trainer(chosen, later, 3).run()
    moved = total(later.model)
    assert moved > 1
    chosen.begin_step(later)
    assert 0 <= total(later.model) < moved / 100


def test_each_scan_of_a_session_has_the_posterior_of_the_one_before_as_prior():
    chosen = method("clis")
    ctx = context(chosen)
    trainer(chosen, ctx, 3).run()
    weights = {name: value for name, value in bits(ctx.model).items() if "prior" not in name}
    assert total(ctx.model) > 1
    chosen.next_scan(ctx)
    assert total(ctx.model) == pytest.approx(0, abs=1e-2)
    assert changed(weights, {name: value for name, value in bits(ctx.model).items() if "prior" not in name}) == set()


@torch.no_grad()
def test_divergences_are_those_of_every_layer():
    ctx = context(method("clis"), old=())
    kernels = sticks = 0.0
    for layer, mask in layers_of(ctx.model):
        kernels += float(kl_divergence(Normal(layer.mu, layer.sigma), Normal(0.0, 1.0)).sum())
        sticks += float(kl_divergence(Beta(mask.a, mask.b), Beta(1.0, 1.0)).sum())
    found = divergences(ctx.model)
    assert float(found["kl_kernels"]) == pytest.approx(kernels, rel=1e-4)
    assert float(found["kl_sticks"]) == pytest.approx(sticks, rel=1e-4)
    layer, mask = next(iter(layers_of(ctx.model)))
    priors = [0.5**count for count in range(1, 5)]  # Beta(1, 1): each stick is half of the one before
    means = [float((mask.a / (mask.a + mask.b))[: count + 1].prod()) for count in range(4)]
    by_hand = sum(
        p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q)) for p, q in zip(means, priors, strict=True)
    )
    with torch.no_grad():  # only the first layer differs from its prior
        for _, other in [*layers_of(ctx.model)][1:]:
            other.renew_prior()
    assert float(divergences(ctx.model)["kl_masks"]) == pytest.approx(by_hand, rel=1e-3)


@pytest.mark.parametrize(("divisor", "voxels"), [("step", 3 * 8 * 32 * 32), ("item", 32 * 32), ("none", 1)], ids=str)
def test_the_divergences_are_divided(divisor, voxels):
    chosen = method("clis", kl_divisor=divisor, kl_weight=2.0)
    ctx = context(chosen, old=(), scans=cases((SQUARE,), 3))
    terms, whole = chosen.training_loss(batch(ctx), ctx), divergences(ctx.model)
    for name, value in whole.items():
        assert float(terms[name].detach()) == pytest.approx(2 * float(value.detach()) / voxels, rel=1e-5)


def test_a_weight_of_nothing_leaves_the_divergences_out():
    chosen = method("clis", kl_weight=0, distillation=0)
    ctx = context(chosen)
    assert set(chosen.training_loss(batch(ctx), ctx)) == {"cross_entropy", "dice"}


def test_a_plain_model_becomes_bayesian_and_segments_as_before():
    chosen = method("clis")
    ctx = context(method("mib"))
    model = ctx.teacher_model
    image = batch(ctx).image
    with torch.no_grad():
        before = model.eval()(image).logits
        chosen.grow(model, [], ctx)
        after = model.eval()(image).logits
    torch.testing.assert_close(after, before, rtol=1e-3, atol=1e-4)
    assert model.config.network == "unet2d-bayes"
    assert model.architecture()["config"]["network"] == "unet2d-bayes"


def test_a_network_without_a_bayesian_form_is_refused():
    with pytest.raises(ModelError, match=r"resunet3d has no Bayesian form.*unet2d or unet3d"):
        method("clis").design(SegmenterConfig(network="resunet3d"))


def test_strong_divergences_hold_the_weights():
    def moved(weight):
        chosen = method("clis", kl_weight=weight, distillation=0)
        ctx = context(chosen, improve=True, scans=cases((SQUARE,)), new=(SQUARE,))
        layer = next(iter(layers_of(ctx.model)))[0]
        trainer(chosen, ctx, 20).run()
        return float(((layer.mu - layer.prior_mean) / layer.prior_sigma).square().mean().detach())

    assert moved(1000.0) < moved(0.0) / 4


def proposing():
    """Return a step with proposals, in a model with three unused kernels in its first layer."""
    chosen = method("clis", proposals=2, mask_prior="beta_bernoulli")
    ctx = context(chosen)
    layer, mask = next(iter(layers_of(ctx.model)))
    with torch.no_grad():
        mask.log_a[1:] = -3.0
        mask.log_odds[1:] = -4.0
    chosen.begin_step(ctx)
    return chosen, ctx, layer, mask


def test_unused_kernels_are_proposed_up_to_a_number():
    chosen, ctx, layer, mask = proposing()
    assert mask.log_odds.tolist() == pytest.approx([2.0, 2.0, 2.0, -4.0])
    assert layer.prior_sigma.flatten(1).eq(1).all(1).tolist() == [False, True, True, False]
    moved = (layer.mu - layer.prior_mean).detach().flatten(1).abs().amax(1)
    assert [bool(item) for item in moved > 0] == [False, True, True, False]
    assert moved.max() < 0.1
    assert ctx.memory.tensors["clis/proposed"].nonzero().flatten().tolist() == [1, 2]
    chosen.remember(ctx)
    assert chosen.key("proposed") not in ctx.memory.tensors


def test_proposed_kernels_train_alone_first():
    chosen, ctx, layer, _ = proposing()
    assert [phase.name for phase in chosen.phases(ctx)] == ["proposed", "train"]
    loop = trainer(chosen, ctx, 4)
    before, kernels = bits(ctx.model), layer.mu.detach().clone()
    first, last = chosen.phases(ctx)
    loop.step(0, first, loop.optimiser(first))
    moved = {name for name in changed(before, bits(ctx.model)) if not name.endswith(("running_mean", "running_var"))}
    parts = {name.rpartition(".")[0].partition(".adn")[0] for name in moved if "num_batches" not in name}
    assert parts == {"trunks.0.down.0.0.conv.mean", "trunks.0.down.0.0.conv", "trunks.0.down.0.0.mask"}
    assert (layer.mu != kernels).flatten(1).any(1).tolist() == [False, True, True, False]
    loop.step(1, last, loop.optimiser(last))
    assert any(name.startswith("output.") for name in changed(before, bits(ctx.model)))


def test_one_value_for_each_kernel_fits_transposed_convolutions_too():
    for layer, mask in layers_of(context(method("clis")).model):
        values = torch.arange(len(mask.log_a)).float()
        image = torch.ones(1, layer.mean.in_channels, 4, 4)
        with torch.no_grad():
            layer.mu.copy_(torch.ones_like(layer.mu) * layer.spread(values))
            found = layer.eval()(image)
        assert torch.equal(found.flatten(2).amax(2)[0] > 0, values > 0)


def test_stick_breaking_refuses_proposals():
    with pytest.raises(ModelError, match=r"stick-breaking.*mask_prior=beta_bernoulli"):
        context(method("clis", proposals=2))
