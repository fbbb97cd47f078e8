"""The networks of MONAI as trunks: the scores of MONAI's own modules, and halves that can be made alone."""

from __future__ import annotations

import importlib.util

import pytest
import torch
from pydantic import ValidationError

from IncrementalSegLib.errors import ModelError
from IncrementalSegLib.networks.config import BranchConfig, SegmenterConfig
from IncrementalSegLib.networks.segmenter import Segmenter
from IncrementalSegLib.registry import find

EINOPS = pytest.mark.skipif(importlib.util.find_spec("einops") is None, reason="einops is not installed")
UNET = {"channels": [4, 8, 8], "strides": [2, 2]}
KINDS = [
    ("unet", UNET | {"num_res_units": 2, "norm": "batch", "dropout": 0.2}),
    ("unet", UNET | {"act": ["leakyrelu", {"negative_slope": 0.2}], "bias": False}),
    ("unet", {"channels": [4, 8], "strides": [1]}),
    ("segresnet", {"init_filters": 8, "blocks_down": [1, 2], "blocks_up": [1], "dropout_prob": 0.2}),
    ("segresnet", {"norm_name": "group", "upsample_mode": "deconv", "blocks_down": [1, 1, 1], "blocks_up": [1, 2]}),
    (
        "dynunet",
        {
            "kernel_size": [3, 3, 3],
            "strides": [1, 2, 2],
            "upsample_kernel_size": [2, 2],
            "filters": [4, 6, 8],
            "deep_supervision": True,
            "dropout": 0.1,
        },
    ),
    (
        "dynunet",
        {
            "kernel_size": [3, 1, 3],
            "strides": [1, 2, 2],
            "upsample_kernel_size": [2, 2],
            "res_block": True,
            "filters": [4, 6, 8],
        },
    ),
    pytest.param("swinunetr", {"feature_size": 12, "drop_rate": 0.1, "img_size": 32}, marks=EINOPS),
]
BRANCHES = [
    BranchConfig(kind="adapter", trunk=0, options={"rank": 2}),
    BranchConfig(kind="decoder", trunk=0, options={"width": 0.5}),
]


def configured(name, arguments, dimension, outputs=3):
    kind = find("network", f"monai-{name}{dimension}d")
    form = kind.Form.model_validate(arguments | {"spatial_dims": dimension, "out_channels": outputs})
    config = SegmenterConfig(
        network=f"monai-{name}{dimension}d",
        channels=2,
        widths=form.widths,
        dropout=0.1,
        topology=form,
        output="classes",
    )
    return kind, form, config


def image_for(name, dimension):
    return torch.randn(1, 2, *((64, 32, 32) if name == "swinunetr" else (16, 16, 16))[:dimension])


@pytest.mark.parametrize("dimension", [2, 3])
@pytest.mark.parametrize(("name", "arguments"), KINDS)
def test_the_scores_are_those_of_monai(name, arguments, dimension):
    kind, form, config = configured(name, arguments, dimension)
    original, trunk = kind.whole(form, 2).eval(), kind(config).eval()
    weights = kind.stored(original.state_dict())
    last = {part: weights.pop(f"{kind.last}.{part}") for part in ("weight", "bias") if kind.last}
    trunk.net.load_state_dict(weights)
    image = image_for(name, dimension)
    with torch.no_grad():
        features = trunk(image)
        scores = features.decoder
        if last:
            convolve = torch.nn.functional.conv2d if dimension == 2 else torch.nn.functional.conv3d
            scores = convolve(scores, last["weight"], last["bias"])
        torch.testing.assert_close(scores, original(image))
    assert features.decoder.shape[1] == trunk.decoder_channels
    maps = trunk.encode(image)
    assert tuple(item.shape[1] for item in maps) == form.widths
    assert [size // item for size, item in zip(image.shape[2:], maps[-1].shape[2:], strict=True)] == [*config.multiples]


@pytest.mark.parametrize("branch", BRANCHES, ids=["adapter", "decoder"])
@pytest.mark.parametrize("dimension", [2, 3])
@pytest.mark.parametrize(("name", "arguments"), KINDS)
def test_branches_grow_on_it_and_change_no_bit(name, arguments, dimension, branch):
    _, _, config = configured(name, arguments, dimension)
    model = Segmenter(config)
    model.add(["a" * 32, "b" * 32])
    image = image_for(name, dimension)
    with torch.no_grad():
        before = model.eval()(image).logits
        model.add(["c" * 32], branch=branch, overlapping=True)
        after = model.eval()(image, ["a" * 32, "b" * 32]).logits
        assert torch.equal(before, after)
        grown = model(image).logits
    assert grown.shape[1] == before.shape[1] + 2
    assert grown.shape[2:] == image.shape[2:]
    shared = set(model.trunks[0].parameters())
    assert not shared & set(model.trunks[1].parameters())
    model.train()(image, ["c" * 32]).logits.sum().backward()
    assert any(item.grad is not None and item.grad.any() for item in model.trunks[1].parameters())
    again = Segmenter.from_architecture(model.architecture(), model.state_dict()).eval()
    with torch.no_grad():
        assert torch.equal(again(image).logits, model.eval()(image).logits)


def test_dropout_is_only_our_own():
    _, _, config = configured("unet", UNET | {"dropout": 0.5}, 3)
    trunk = find("network", "monai-unet3d")(config.model_copy(update={"dropout": 0.0})).train()
    image = image_for("unet", 3)
    assert torch.equal(trunk(image).decoder, trunk(image).decoder)


@pytest.mark.parametrize(
    ("name", "changes", "reason"),
    [
        ("unet", {"strides": [2]}, "levels have 1 strides"),
        ("unet", {"channels": [4, 10**9], "strides": [2]}, "2048"),
        ("unet", {"attention": True}, "Extra inputs"),
        ("unet", {"kernel_size": [3, 3]}, "sizes along 3 axes"),
        ("segresnet", {"blocks_up": [1]}, "on the way up"),
        ("segresnet", {"act": "prelu"}, "activations are"),
        ("segresnet", {"use_conv_final": False}, "True"),
        ("dynunet", {"strides": [2, 2, 2]}, "first stride"),
        ("dynunet", {"upsample_kernel_size": [2, 1]}, "way up"),
        ("swinunetr", {"use_hyena": True}, "Extra inputs"),
    ],
)
def test_other_forms_are_refused(name, changes, reason):
    base = {"unet": UNET, "dynunet": {"kernel_size": [3] * 3, "strides": [1, 2, 2], "upsample_kernel_size": [2, 2]}}
    with pytest.raises(ValidationError, match=reason):
        configured(name, base.get(name, {}) | changes, 3)


def test_what_monai_does_not_build_is_refused():
    _, _, config = configured("unet", UNET | {"norm": "nothing"}, 3)
    with pytest.raises(ModelError, match="does not build a UNet"):
        find("network", "monai-unet3d")(config)


def test_a_form_belongs_to_its_network():
    _, form, _ = configured("unet", UNET, 3)
    with pytest.raises(ModelError, match="cannot be made"):
        find("network", "monai-unet3d")(SegmenterConfig(network="monai-unet3d", widths=(1, 2, 3), topology=form))
    with pytest.raises(ValidationError, match="no form of its own"):
        SegmenterConfig(network="unet3d", topology={"kernels": []})
    read = SegmenterConfig.model_validate_json(
        SegmenterConfig(network="monai-unet3d", widths=form.widths, topology=form).model_dump_json()
    )
    assert read.topology == form
