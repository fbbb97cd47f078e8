"""The heads: number of weights, one convolution for many, independence of each other."""

import pytest
import torch
from torch.nn import functional as F

from IncrementalSegLib.networks.config import SegmenterConfig
from IncrementalSegLib.networks.output import Features
from IncrementalSegLib.networks.outputs.heads import Head, Heads

OFFICIAL = {"head_depth": 2, "head_norm": True}
EIGHT = [str(number) * 32 for number in range(8)]


def heads(names=EIGHT, channels=6, network="unet2d", **config):
    torch.manual_seed(0)
    output = Heads(SegmenterConfig(network=network, **config))
    for name in names:
        output.add(name, channels)
    return output.eval()


def seen(features):
    """Return a trunk's features of which only the last map matters."""
    return Features((), features, features, features)


@pytest.mark.parametrize(("config", "numbers"), [(OFFICIAL, 18_628), ({}, 32 * 2 + 2)])
def test_a_head_has_the_number_of_weights_of_its_recipe(config, numbers):
    head = Head(32, 2, SegmenterConfig(network="unet2d", **config))
    assert sum(parameter.numel() for parameter in head.parameters()) == numbers


@pytest.mark.parametrize(("network", "size"), [("unet2d", (5, 7)), ("unet3d", (3, 5, 7))])
@pytest.mark.parametrize("config", [{}, OFFICIAL], ids=["1x1", "2019"])
def test_eight_heads_together_equal_eight_alone(network, size, config):
    output = heads(network=network, **config)
    features = torch.randn(2, 6, *size)
    with torch.no_grad():
        together = output(seen(features), EIGHT)
        alone = torch.stack([output.part(name)(features) for name in EIGHT], 1)
    assert tuple(together.shape) == (2, 8, 2, *size)
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("config", "convolutions"), [({}, 1), (OFFICIAL, 3 * 8)])
def test_plain_heads_run_as_one_convolution(config, convolutions, monkeypatch):
    output, calls, real = heads(**config), [], F.conv2d
    monkeypatch.setattr(F, "conv2d", lambda *args, **more: calls.append(1) or real(*args, **more))
    output(seen(torch.randn(1, 6, 4, 4)), EIGHT)
    assert len(calls) == convolutions


def test_structures_come_in_the_order_asked_for():
    output, features = heads(), torch.randn(2, 6, 5, 5)
    with torch.no_grad():
        everything = output(seen(features), EIGHT)
        some = output(seen(features), [EIGHT[5], EIGHT[2]])
    torch.testing.assert_close(some, everything[:, [5, 2]])


def test_no_structure_gives_no_logits():
    assert tuple(heads()(seen(torch.randn(2, 6, 4, 5)), []).shape) == (2, 0, 2, 4, 5)


def test_probability_is_the_softmax_of_each_head_alone():
    logits = torch.randn(2, 3, 2, 4, 4) * 5
    expected = torch.softmax(logits, dim=2)[:, :, 1]
    output, three = heads(EIGHT[:3]), EIGHT[:3]
    assert output.probabilities(logits.bfloat16(), three).dtype == torch.float32
    torch.testing.assert_close(output.probabilities(logits, three), expected)
    sure = torch.tensor([-1.0, 1.0]).view(1, 1, 2, 1, 1).expand(1, 2, 2, 1, 1)
    assert (output.probabilities(sure, three[:2]) > 0.5).all()


def test_adding_and_removing_leaves_the_others_alone():
    output = heads(EIGHT[:2])
    before = output.part(EIGHT[0]).score.weight.clone()
    output.add(EIGHT[2], 6)
    output.remove(EIGHT[1])
    assert torch.equal(output.part(EIGHT[0]).score.weight, before)
    assert list(output.heads) == [EIGHT[0], EIGHT[2]]
