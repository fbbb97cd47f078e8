"""A graph of ONNX gives the outputs of its network, for every family and every network of other programs."""

from __future__ import annotations

import importlib.util
from functools import cache, partial

import numpy as np
import pytest
import torch
from bundle_folders import DYNUNET, SEGRESNET, SWINUNETR, UNET
from nnunet_folders import WIDTHS as STAGES
from nnunet_folders import configuration
from tiny import BAR, DISC, SQUARE, TEXT, plan, segmenter

from IncrementalSegLib.engine.release import graph
from IncrementalSegLib.engine.release.graph import Channel, channels_of, graph_of
from IncrementalSegLib.networks.config import BranchConfig, Topology
from IncrementalSegLib.preprocessing.bundle import BundleRules
from IncrementalSegLib.registry import find

onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

EINOPS = pytest.mark.skipif(importlib.util.find_spec("einops") is None, reason="einops is not installed")
NAMES = {DISC: "disc", SQUARE: "square", BAR: "bar"}
DECODER = BranchConfig(kind="decoder", trunk=0, options={"width": 0.5})
ADAPTER = BranchConfig(kind="adapter", trunk=0, options={"rank": 2})
RULES = BundleRules(overlap=(0.5, 0.5, 0.5))


def refused(reason, why):
    return ValueError(f"{reason}: {why}")


def oriented(**config):
    model = segmenter(output="embedding", **config)
    for item in model.structures:
        model.output.orient(item, TEXT[item])
    return model


def named(**config):
    model = segmenter(output="dynamic-text", **config)
    model.output.read({item: TEXT[item] for item in model.structures})
    with torch.no_grad():  # else its scores are so steep that the network itself rounds by more than 0.0001
        for layer in model.output.shared.values():
            layer.weight.mul_(0.2)
    return model


def grown(branch=None, **config):
    """Return a network that a third structure shares in part, or not at all."""
    model = segmenter(**config)
    model.add([BAR], own_trunk=branch is None, branch=branch, overlapping=True)
    return model


def monai(given, flat=False):
    arguments = {key: value for key, value in given.items() if key not in ("_target_", "in_channels")}
    arguments |= {"spatial_dims": 2 if flat else 3, "out_channels": 3}
    name = f"monai-{given['_target_'].rpartition('.')[2].lower()}{arguments['spatial_dims']}d"
    form = find("network", name).Form.model_validate(arguments)
    return segmenter(network=name, widths=form.widths, output="classes", topology=form)


def nnunet(dimension=3, residual=False, members=1, output="classes"):
    given = configuration(dimension, residual=residual)["architecture"]["arch_kwargs"]
    topology = Topology(
        kernels=given["kernel_sizes"],
        strides=given["strides"],
        encoder=given["n_blocks_per_stage" if residual else "n_conv_per_stage"],
        decoder=given["n_conv_per_stage_decoder"],
        residual=residual,
        members=members,
    )
    return segmenter(network=f"nnunet{dimension}d", widths=STAGES, output=output, topology=topology)


def beside():
    """Return an adopted network with a softmax, and a head on an adapter beside it."""
    model = nnunet()
    model.add([BAR], branch=ADAPTER, overlapping=True)
    return model


KINDS = {
    "embedding": oriented,
    "nnU-Net and an adapter": beside,
    "heads": partial(segmenter, network="unet3d"),
    "slices": segmenter,
    "classes": partial(segmenter, output="classes"),
    "dynamic": partial(segmenter, output="dynamic"),
    "decoder": partial(grown, DECODER, output="classes"),
    "adapter": partial(grown, ADAPTER),
    "deep heads": partial(segmenter, network="unet3d", head_depth=2, head_norm=True),
    "dynamic-text": partial(named, network="resunet3d"),
    "separate": partial(grown, network="unet3d"),
    "bayes": partial(segmenter, network="unet3d-bayes", output="classes"),
    "embedding 3d": partial(oriented, network="unet3d"),
    "nnU-Net slices": partial(nnunet, 2),
    "nnU-Net residual ensemble": partial(nnunet, 3, True, 2, "heads"),
    "MONAI UNet": partial(monai, UNET),
    "MONAI slices": partial(monai, UNET, flat=True),
    "MONAI SegResNet": partial(monai, SEGRESNET),
    "MONAI DynUNet": partial(monai, DYNUNET),
}
QUICK = ("embedding", "nnU-Net and an adapter")
"""The others take seconds each, because torch takes them to write a graph."""


def made(kind):
    """Return a network with random weights and a plan for it."""
    model = KINDS[kind]()
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.02)
    adopted = model.config.topology is not None
    side = {"patch": (16, 16, 16)} if adopted and model.dimension == 3 else {}
    return model.eval(), plan(model.dimension).model_copy(update=side | {"rules": RULES if adopted else None})


@cache
def written(kind):
    """Return a network, its plan and its graph; a graph takes torch seconds."""
    model, its_plan = made(kind)
    return model, its_plan, graph_of(model, its_plan, refused)


def run(found, image):
    session = onnxruntime.InferenceSession(found.to_bytes({}))
    return torch.from_numpy(session.run(None, {"image": image.numpy()})[0])


def probabilities(scores, channels):
    """Return the probabilities of structures, by the kinds of the channels alone."""
    kinds = [item.kind for item in channels]
    joint = [number for number, kind in enumerate(kinds) if kind == "softmax"]
    likely = scores.clone()
    if joint:
        likely[:, joint] = scores[:, joint].softmax(1)
    for number, kind in enumerate(kinds):
        if kind == "sigmoid":
            likely[:, number] = scores[:, number].sigmoid()
    return {item.name: likely[:, number] for number, item in enumerate(channels) if item.name != "background"}


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=() if kind in QUICK else pytest.mark.slow) for kind in KINDS]
)
@torch.no_grad()
def test_a_graph_gives_the_probabilities_of_the_network(kind):
    model, its_plan, found = written(kind)
    sizes = [its_plan.patch[3 - model.dimension :]] + [(24, 40)] * (kind in ("slices", "embedding"))
    images = [torch.randn(count, 1, *size) * 2 for size in sizes for count in (1, 2, 3)]
    channels = channels_of(model, its_plan, NAMES)
    assert found.difference <= 1e-4
    assert found.output == ("scores" if model.config.topology else "probabilities")
    assert found.shape[:2] == ("batch", 1)
    assert all(isinstance(size, str) for size in found.shape[2:]) is (model.dimension == 2 and its_plan.rules is None)
    model.output._settled = None  # weights are followed again
    for image in images:
        expected, theirs = model.probabilities(model(image).logits), probabilities(run(found, image), channels)
        assert len(theirs) == len(model.structures)
        for column, item in enumerate(model.structures):
            assert (theirs[NAMES[item]] - expected[:, column]).abs().max() <= 1e-4
        assert expected.std() > 1e-3


@EINOPS
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_transformer_is_written():
    model, its_plan = monai(SWINUNETR).eval(), plan(3).model_copy(update={"patch": (64, 64, 64), "rules": RULES})
    assert graph_of(model, its_plan, refused).difference <= 1e-4


def test_scores_of_a_softmax_and_of_heads_stand_side_by_side():
    model, its_plan = beside(), plan(3).model_copy(update={"rules": RULES})
    assert channels_of(model, its_plan, NAMES) == [
        Channel("background", "softmax"),
        Channel("disc", "softmax"),
        Channel("square", "softmax"),
        Channel("bar", "sigmoid"),
    ]


def test_a_graph_that_differs_is_not_given_away(monkeypatch):
    model, its_plan, found = written(QUICK[0])
    wrong = type(found.model)()
    wrong.CopyFrom(found.model)
    for item in wrong.graph.initializer:
        if item.raw_data and item.data_type == wrong.graph.input[0].type.tensor_type.elem_type:
            item.raw_data = (np.frombuffer(item.raw_data, np.float32) * np.float32(1.5)).tobytes()
    monkeypatch.setattr(graph, "_exported", lambda *_: wrong)
    with pytest.raises(ValueError, match="differs from the network by"):
        graph_of(model, its_plan, refused)
    monkeypatch.setattr(graph, "MOST_BYTES", 1000)
    with pytest.raises(ValueError, match="at most 2 GB"):
        graph_of(model, its_plan, refused)


def test_what_torch_cannot_write_is_refused():
    model, its_plan = made("embedding")

    class Unwritable(torch.nn.Module):
        def forward(self, image):
            return torch.linalg.eigvals(image).real

    model.trunks[0].down[0] = torch.nn.Sequential(Unwritable())
    with pytest.raises(ValueError, match="torch cannot write its network"):
        graph_of(model, its_plan, refused)
