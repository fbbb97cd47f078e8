"""The U-Nets of nnU-Net, beside those of the package that nnU-Net uses where it is installed."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from IncrementalSegLib.errors import ModelError
from IncrementalSegLib.networks.config import BranchConfig, SegmenterConfig, Topology
from IncrementalSegLib.networks.segmenter import Segmenter
from IncrementalSegLib.networks.trunks.nnunet import InstanceNorm, NnUNet2d, NnUNet3d

FORMS = {
    2: (((3, 3), (3, 3), (5, 3)), ((1, 1), (2, 2), (2, 1))),
    3: (((1, 3, 3), (3, 3, 3), (3, 3, 3)), ((1, 1, 1), (1, 2, 2), (2, 2, 2))),
}


def trunk(dimension, *, residual=False, members=1):
    kernels, strides = FORMS[dimension]
    topology = Topology(
        kernels=kernels, strides=strides, encoder=(1, 3, 2), decoder=(1, 2), residual=residual, members=members
    )
    config = SegmenterConfig(
        network=f"nnunet{dimension}d", channels=2, widths=(4, 8, 8), dropout=0.1, topology=topology
    )
    return (NnUNet2d if dimension == 2 else NnUNet3d)(config).eval()


@pytest.mark.parametrize("dimension", [2, 3])
@pytest.mark.parametrize("residual", [False, True])
def test_the_network_is_that_of_nnunet(dimension, residual):
    unet = pytest.importorskip(
        "dynamic_network_architectures.architectures.unet", reason="the original is not installed"
    )
    kernels, strides = FORMS[dimension]
    convolution, norm = (
        (nn.Conv2d, nn.InstanceNorm2d) if dimension == 2 else (nn.Conv3d, nn.InstanceNorm3d)
    )  # fmt: skip
    kind = unet.ResidualEncoderUNet if residual else unet.PlainConvUNet
    original = kind(
        2, 3, [4, 8, 8], convolution, kernels, strides, [1, 3, 2], 3, [1, 2], True, norm, {"eps": 1e-5, "affine": True},
        None, None, nn.LeakyReLU, {"inplace": True}, deep_supervision=False,
    ).eval()  # fmt: skip
    own = trunk(dimension, residual=residual)
    weights = original.state_dict()
    own.load_state_dict({name: weights[name.removeprefix("members.0.")] for name in own.state_dict()})
    image = torch.randn(1, 2, 8, 16, 16)[:, :, 0] if dimension == 2 else torch.randn(1, 2, 8, 16, 16)
    with torch.no_grad():
        scores = original.decoder.seg_layers[-1](own(image).decoder)
        torch.testing.assert_close(scores, original(image))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last_3d])
def test_instances_are_normalised_far_from_zero(layout):
    norm = InstanceNorm(3, 1e-5)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    features = (torch.randn(2, 3, 12, 16, 20) + 100).contiguous(memory_format=layout)
    wide = features.double().flatten(2)
    expected = (wide - wide.mean(2, keepdim=True)) / (wide.var(2, correction=0, keepdim=True) + norm.eps).sqrt()
    expected = expected * norm.weight[:, None] + norm.bias[:, None]
    torch.testing.assert_close(norm(features).double().flatten(2), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dimension", [2, 3])
def test_features_have_the_sizes_of_the_stages(dimension):
    features = trunk(dimension, members=2)(torch.randn(1, 2, *(8, 16, 16)[-dimension:]))
    assert [item.shape[1] for item in (*features.encoder, features.abstraction, features.decoder)] == [8, 16, 16, 8]
    assert features.decoder.shape[2:] == (8, 16, 16)[-dimension:]
    assert features.abstraction.shape[2:] == ((4, 8) if dimension == 2 else (4, 4, 4))


def test_sizes_are_multiples_of_the_strides():
    for dimension, multiples in ((2, (4, 2)), (3, (2, 4, 4))):
        kernels, strides = FORMS[dimension]
        topology = Topology(kernels=kernels, strides=strides, encoder=(1, 1, 1), decoder=(1, 1))
        config = SegmenterConfig(network="nnunet3d", widths=(4, 8, 8), topology=topology)
        assert (config.multiples, config.multiple) == (multiples, 4)
    assert SegmenterConfig(network="unet3d", widths=(4, 8, 8)).multiple == 4


def test_dropout_acts_while_training_alone():
    network, image = trunk(3), torch.randn(1, 2, 8, 16, 16)
    torch.testing.assert_close(network(image).decoder, network(image).decoder_dropped)
    network.train()
    first, *others = (network(image).decoder for _ in range(9))  # two draws of so few channels may be the same
    assert not all(torch.equal(first, other) for other in others)


@pytest.mark.parametrize(
    "changes",
    [
        {"kernels": ((3, 3), (3, 3))},
        {"kernels": ((3, 3), (3, 3), (2, 2))},
        {"strides": ((2, 2), (2, 2), (2, 2))},
        {"strides": ((1, 1), (2, 2), (2, 9))},
        {"strides": ((1, 1), (2, 2), (2,))},
        {"encoder": (1, 0, 1)},
        {"decoder": (1, 1, 1)},
        {"members": 11},
    ],
)
def test_a_form_that_does_not_fit_is_refused(changes):
    kernels, strides = FORMS[2]
    with pytest.raises(ValidationError):
        Topology(**({"kernels": kernels, "strides": strides, "encoder": (1, 1, 1), "decoder": (1, 1)} | changes))


def test_a_network_without_a_form_is_refused():
    with pytest.raises(ModelError, match="form is not given"):
        NnUNet3d(SegmenterConfig(network="nnunet3d"))


@pytest.mark.parametrize("dimension", [2, 3])
@pytest.mark.parametrize("members", [1, 2])
@pytest.mark.parametrize(
    "branch",
    [
        BranchConfig(kind="adapter", trunk=0, options={"rank": 2}),
        BranchConfig(kind="decoder", trunk=0, options={"width": 0.5}),
    ],
    ids=lambda item: item.kind,
)
def test_branches_grow_on_its_encoders(dimension, members, branch):
    config = trunk(dimension, members=members).config.model_copy(update={"output": "classes"})
    model, image = Segmenter(config), torch.randn(2, 2, *(8, 16, 16)[-dimension:])
    model.add(["a" * 32])
    before = model.eval()(image).logits
    model.add(["b" * 32], branch=branch, overlapping=True)
    last = model.eval().trunk(1)(image).decoder
    assert last.shape[1] == model.trunk(1).decoder_channels
    assert torch.equal(last, model.trunk(0)(image).decoder) is (branch.kind == "adapter")  # it begins as the trunk
    assert torch.equal(model(image).logits[:, :2], before)
    assert not any("encoder" in name for name, _ in model.trunks[1].named_parameters())
    with torch.no_grad():  # of two factors, one begins at 0
        for value in model.trunks[1].parameters():
            value.add_(0.01)
    model(image, ["b" * 32]).logits.square().sum().backward()
    assert all(item.grad is not None and item.grad.abs().any() for item in model.output.part("b" * 32).parameters())
    assert all(item.grad is not None for item in model.trunks[1].parameters())
