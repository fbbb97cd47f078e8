"""The trunk: sizes, number of weights, what the abstraction map is, where dropout sits."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from IncrementalSegLib.networks.config import SegmenterConfig
from IncrementalSegLib.networks.dropout import ChannelDropout
from IncrementalSegLib.networks.trunks.resunet import Residual, ResUNet3d
from IncrementalSegLib.networks.trunks.unet import UNet2d, UNet3d


def unet(kind=UNet2d, widths=(4, 8, 16), **more):
    torch.manual_seed(0)
    return kind(SegmenterConfig(network="unet2d", widths=widths, **more))


def numbers(module):
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(
    ("kind", "size"),
    [(UNet2d, (16, 24)), (UNet3d, (8, 16, 12)), (ResUNet3d, (8, 16, 12))],
    ids=["2-D", "3-D", "residual"],
)
def test_features_have_the_sizes_that_are_promised(kind, size):
    trunk = unet(kind, channels=2).eval()
    features = trunk(torch.randn(2, 2, *size))
    halved = [tuple(length // 2**level for length in size) for level in range(3)]
    assert [tuple(level.shape) for level in features.encoder] == [(2, 4, *halved[0]), (2, 8, *halved[1])]
    assert tuple(features.abstraction.shape) == (2, 16, *halved[2])
    assert tuple(features.decoder.shape) == (2, trunk.decoder_channels, *size)


def test_body_of_the_2019_code_has_its_number_of_weights():
    """Counted by hand: 3x3 and transposed 4x4 convolutions without bias, two numbers per channel of each norm."""
    widths = (32, 64, 128, 256, 512)
    expected, inputs = 0, 1
    for width in widths:
        expected += 9 * inputs * width + 9 * width * width + 4 * width
        inputs = width
    for coarse, fine in zip(widths[:0:-1], widths[-2::-1], strict=True):
        expected += 16 * coarse * coarse + 2 * coarse
        expected += 9 * (coarse + fine) * fine + 9 * fine * fine + 4 * fine
    found = numbers(unet(widths=widths))
    assert found == expected
    assert found == pytest.approx(13.4e6, rel=0.005)


@pytest.mark.parametrize("training", [False, True])
def test_abstraction_is_the_second_coarsest_convolution_after_norm_and_relu_before_dropout(training):
    trunk = unet(dropout=0.5).train(training)
    ChannelDropout.seed(trunk, torch.Generator().manual_seed(0))
    second, raw, inputs = trunk.bottom[1], [], []
    convolution = next(module for module in second.modules() if isinstance(module, nn.Conv2d))
    norm = next(module for module in second.modules() if isinstance(module, nn.BatchNorm2d))
    mean, var = norm.running_mean.clone() - 0.3, norm.running_var.clone() * 2
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(var)
    convolution.register_forward_hook(lambda module, args, output: raw.append(output))
    trunk.up[0].register_forward_pre_hook(lambda module, args: inputs.append(args[0]))
    found = trunk(torch.randn(2, 1, 16, 16)).abstraction
    own = (None, None) if training else (mean, var)
    expected = F.relu(F.batch_norm(raw[0], *own, norm.weight, norm.bias, training=training))
    torch.testing.assert_close(found, expected)
    assert torch.equal(inputs[0], found) is not training, "dropout follows the map, in training only"


def test_encoding_is_deterministic_and_decoding_holds_all_dropout():
    trunk = unet(dropout=0.5).eval()
    image = torch.randn(2, 1, 16, 16)
    with torch.no_grad(), ChannelDropout.sampling(trunk, torch.Generator().manual_seed(0)):
        one, other = trunk.encode(image), trunk.encode(image)
        assert all(torch.equal(a, b) for a, b in zip(one.levels, other.levels, strict=True))
        assert torch.equal(one.pooled, other.pooled)
        assert not torch.equal(trunk.decode(one).decoder, trunk.decode(one).decoder)
    with torch.no_grad():
        assert torch.equal(trunk.decode(one).decoder, trunk(image).decoder)


def test_dropout_follows_the_last_pooling_the_bottleneck_and_every_decoder_level():
    trunk = unet(dropout=0.5)
    sizes = []
    trunk.drop.register_forward_hook(lambda module, args, output: sizes.append(tuple(output.shape[1:])))
    trunk(torch.randn(2, 1, 16, 16))
    assert sizes == [(8, 4, 4), (16, 4, 4), (8, 8, 8), (4, 16, 16)]


def test_the_last_map_is_given_before_and_after_dropout():
    trunk = unet(dropout=0.5)
    features = trunk(torch.randn(2, 1, 16, 16))
    kept = features.decoder_dropped.flatten(2).abs().sum(2) > 0
    assert 0 < kept.sum() < kept.numel()
    torch.testing.assert_close(features.decoder_dropped[kept], 2 * features.decoder[kept])
    trunk.eval()
    features = trunk(torch.randn(2, 1, 16, 16))
    assert torch.equal(features.decoder_dropped, features.decoder)


def test_momentum_reaches_every_norm():
    norms = [module for module in unet(norm_momentum=0.01).modules() if isinstance(module, nn.BatchNorm2d)]
    assert len(norms) == 2 * 3 + 2 + 2 * 2
    assert {norm.momentum for norm in norms} == {0.01}


def test_gradients_reach_every_weight():
    trunk = unet()
    features = trunk(torch.randn(2, 1, 16, 16))
    features.decoder.square().mean().backward()
    assert [name for name, weight in trunk.named_parameters() if not weight.grad.abs().any()] == []


@pytest.mark.parametrize("inputs", [3, 5])
def test_a_residual_level_is_its_convolutions_beside_a_shortcut(inputs):
    level = Residual(3, inputs, 5, SegmenterConfig(network="resunet3d")).eval()
    image = torch.randn(2, inputs, 4, 4, 4)
    with torch.no_grad():
        both = level(image)
        shortcut = image if inputs == 5 else level.shortcut(image)
        torch.testing.assert_close(both, F.relu(level.second(level.first(image)) + shortcut))
        level.second.conv.weight.zero_()
        torch.testing.assert_close(level(image), F.relu(shortcut))
    assert not torch.allclose(both, F.relu(shortcut))


def test_the_residual_trunk_has_a_shortcut_in_every_level():
    trunk = unet(ResUNet3d)
    levels = [module for module in trunk.modules() if isinstance(module, Residual)]
    assert len(levels) == 2 * 3 - 1
    assert (trunk(torch.randn(1, 1, 8, 8, 8)).abstraction >= 0).all()
