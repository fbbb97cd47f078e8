"""Channel dropout: whole channels, from a passed generator, only when asked for."""

import pytest
import torch
from torch import nn

from IncrementalSegLib.networks.dropout import ChannelDropout


def seeded(seed):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("shape", [(3, 200, 4, 5), (3, 200, 2, 4, 5)])
def test_whole_channels_are_dropped_and_the_rest_is_scaled(shape):
    layer = ChannelDropout(0.25).train()
    layer.generator = seeded(0)
    found = layer(torch.ones(shape)).flatten(2)
    assert torch.equal(found, found[:, :, :1].expand_as(found))
    assert found.unique().tolist() == pytest.approx([0, 1 / 0.75])
    assert (found[..., 0] == 0).float().mean().item() == pytest.approx(0.25, abs=0.05)
    assert not torch.equal(found[0], found[1])


def test_the_mean_is_kept():
    layer = ChannelDropout(0.5).train()
    layer.generator = seeded(0)
    assert layer(torch.ones(4, 5000, 1, 1)).mean().item() == pytest.approx(1, abs=0.02)


def test_masks_depend_on_the_generator_alone():
    layer = ChannelDropout(0.5).train()
    image = torch.ones(2, 50, 1, 1)
    found = []
    for seed in (1, 1, 2):
        torch.rand(7)  # the global generator has no say
        layer.generator = seeded(seed)
        found.append(layer(image))
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


@pytest.mark.parametrize(("p", "training"), [(0.5, False), (0.0, True)])
def test_nothing_is_dropped(p, training):
    image = torch.ones(2, 50, 1, 1)
    assert ChannelDropout(p).train(training)(image) is image


def test_sampling_is_active_in_eval_mode_and_undone_afterwards():
    model = nn.Sequential(ChannelDropout(0.5), ChannelDropout(0.5)).eval()
    own = seeded(9)
    ChannelDropout.seed(model, own)
    image = torch.ones(2, 50, 1, 1)
    with ChannelDropout.sampling(model, seeded(1)):
        assert not torch.equal(model(image), image)
        assert not model.training
    with pytest.raises(RuntimeError), ChannelDropout.sampling(model, seeded(1)):
        raise RuntimeError("cancelled")
    assert torch.equal(model(image), image)
    assert [layer.generator for layer in model] == [own, own]
