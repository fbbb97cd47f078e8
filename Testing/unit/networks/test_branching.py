"""Branches: small, on a first half that runs once, and without a share in the weights of the trunk."""

import copy
import json

import pytest
import torch
from tiny import BAR, DISC, SQUARE, bits, segmenter
from torch import nn

from IncrementalSegLib.engine.step.presets import find_preset
from IncrementalSegLib.errors import ModelError, UnknownNameError
from IncrementalSegLib.networks.config import BranchConfig
from IncrementalSegLib.networks.segmenter import Segmenter
from IncrementalSegLib.networks.sharing import fingerprints, own_parts, own_trunks
from IncrementalSegLib.registry import find

DECODER = BranchConfig(kind="decoder", trunk=0, options={"width": 0.5})
ADAPTER = BranchConfig(kind="adapter", trunk=0, options={"rank": 2})
OFFICIAL = {"head_depth": 2, "head_norm": True}
BOTH = pytest.mark.parametrize("branch", [DECODER, ADAPTER], ids=["decoder", "adapter"])
NETWORKS = pytest.mark.parametrize("config", [{}, OFFICIAL, {"network": "unet3d"}, {"network": "resunet3d"}])


def grown(branch, structures=(SQUARE,), old=(DISC,), **config):
    model = segmenter(old, **config)
    model.add(structures, branch=branch)
    return model.eval()


def image_for(model):
    return torch.randn(2, 1, *[16] * model.dimension)


def size(module):
    return sum(item.numel() for item in module.parameters())


@BOTH
@NETWORKS
def test_growing_changes_no_bit_of_what_was_there(branch, config):
    model = segmenter((DISC, BAR), **config).eval()
    image = image_for(model)
    with torch.no_grad():
        before = model(image, (DISC, BAR)).logits
        prints = fingerprints(model)
        model.add([SQUARE], branch=branch)
        model.eval()
        assert torch.equal(model(image, (DISC, SQUARE, BAR)).logits[:, [0, 2]], before)
    assert {item: fingerprints(model)[item] for item in prints} == prints
    assert model.trunk_of == {DISC: 0, BAR: 0, SQUARE: 1}
    assert model.branches == {1: branch}
    assert all(name.startswith(("second.", "output")) for name in model.trunks[1].state_dict())


@NETWORKS
def test_adapters_begin_as_the_trunk(config):
    model = grown(ADAPTER, **config)
    image = image_for(model)
    with torch.no_grad():
        torch.testing.assert_close(model.trunk(1)(image).decoder, model.trunk(0)(image).decoder)


@BOTH
@NETWORKS
def test_it_comes_back_from_its_description(branch, config):
    model = grown(branch, **config)
    model.add([BAR], branch=ADAPTER)
    with torch.no_grad():
        for value in model.parameters():
            value.add_(0.01)
    model.eval()
    description = json.loads(json.dumps(model.architecture(), allow_nan=False))
    for back in (Segmenter.from_architecture(description, model.state_dict()).eval(), copy.deepcopy(model)):
        image = image_for(model)
        assert torch.equal(back(image).logits, model(image).logits)
        assert fingerprints(back) == fingerprints(model)
        with torch.no_grad():
            next(back.trunks[0].parameters()).add_(1)
        assert not torch.equal(back(image).logits, model(image).logits)
        assert not torch.equal(back(image, [BAR]).logits, model(image, [BAR]).logits), "it uses its own trunk"


@BOTH
def test_the_shared_half_runs_once_and_a_branch_only_for_its_structures(branch):
    model = grown(branch)
    model.add([BAR], branch=branch)
    model.eval()
    calls = []
    model.trunk(0).down[0].register_forward_hook(lambda *_: calls.append("encoder"))
    for index, half in enumerate((model.trunk(0), model.trunk(1).second, model.trunk(2).second)):
        half.bottom.register_forward_hook(lambda *_, index=index: calls.append(index))
    image = image_for(model)
    model(image)
    assert calls == ["encoder", 0, 1, 2]
    calls.clear()
    model(image, [BAR])
    assert calls == ["encoder", 2]
    calls.clear()
    list(model.monte_carlo(image, 2, torch.Generator().manual_seed(0), [SQUARE, BAR]))
    assert calls == ["encoder", 1, 2, 1, 2]


@pytest.mark.parametrize("dimension", [2, 3])
@pytest.mark.parametrize("preset", ["quick", "standard", "paper"])
@pytest.mark.parametrize(("method", "limit"), [("adapter", 0.2), ("decoder", 0.5)])
def test_a_step_is_small(method, limit, preset, dimension):
    kind = find("method", method)
    with torch.device("meta"):
        model = Segmenter(find_preset(preset, dimension).config(f"unet{dimension}d", 1))
        model.add([DISC])
        model.add([SQUARE], branch=kind(kind.Options()).branch())
    added = size(model.trunks[1]) + size(model.output.part(SQUARE))
    assert 0 < added <= limit * size(model.trunks[0])


@BOTH
def test_gradients_reach_the_branch_and_the_trunk_is_nobodys_twice(branch):
    model = grown(branch)
    assert len(list(model.parameters())) == len({id(item) for item in model.parameters()})
    with torch.no_grad():
        for value in model.trunks[1].parameters():
            value.add_(0.01)
    model(image_for(model), [SQUARE]).logits.sum().backward()
    assert all(item.grad is not None for item in model.trunks[1].parameters())


def test_what_belongs_to_structures_alone():
    model = grown(DECODER, (SQUARE, BAR))
    assert own_trunks(model.architecture(), [SQUARE]) == set()
    assert own_trunks(model.architecture(), [SQUARE, BAR]) == {1}
    assert own_trunks(model.architecture(), [DISC]) == set(), "branches hang on it"
    assert own_trunks(segmenter((DISC,)).architecture(), [DISC]) == {0}
    own = {id(item) for item in own_parts(model, [SQUARE, BAR]).parameters()}
    rest = {id(item) for item in (*model.trunks[0].parameters(), *model.output.part(DISC).parameters())}
    assert own
    assert own | rest == {id(item) for item in model.parameters()}
    assert own & rest == set()


@BOTH
@pytest.mark.parametrize(
    ("place", "changes"),
    [
        ("trunks.0.down.0.0.adn.N.running_mean", {DISC, SQUARE, BAR}),
        ("trunks.0.down.0.0.conv.weight", {DISC, SQUARE, BAR}),
        ("trunks.1.", {SQUARE}),
        (f"output.heads.{SQUARE}.score.bias", {SQUARE}),
        (f"output.heads.{DISC}.score.bias", {DISC}),
    ],
)
def test_a_fingerprint_covers_every_weight_behind_a_structure_and_no_other(branch, place, changes):
    model = grown(branch)
    model.add([BAR], branch=branch)
    before = fingerprints(model)
    name = next(name for name in model.state_dict() if name.startswith(place))
    model.state_dict()[name].add_(1e-6 if "running" in place else 1e-3)
    assert {item for item, found in fingerprints(model).items() if found != before[item]} == changes


@pytest.mark.parametrize("output", ["classes", "dynamic", "embedding"])
def test_a_fingerprint_covers_what_structures_share(output):
    model = segmenter((DISC, SQUARE), output=output)
    before = fingerprints(model)
    shared = {"classes": "background", "dynamic": "shared", "embedding": "layers"}[output]
    name = next(name for name in model.state_dict() if shared in name)
    model.state_dict()[name].add_(1)
    assert all(found != before[item] for item, found in fingerprints(model).items())
    before = fingerprints(model)
    model.add([BAR])
    same = [fingerprints(model)[item] == before[item] for item in (DISC, SQUARE)]
    assert same == [not model.exclusive or output == "embedding"] * 2  # a direction that is not given yet is 0


def test_no_branch_where_none_can_grow():
    model = grown(DECODER)
    with pytest.raises(ModelError, match="no branch carries another"):
        model.add([BAR], branch=DECODER.model_copy(update={"trunk": 1}))
    with pytest.raises(ModelError, match="trunk 7"):
        model.add([BAR], branch=DECODER.model_copy(update={"trunk": 7}))
    with pytest.raises(UnknownNameError, match="adapter"):
        model.add([BAR], branch=BranchConfig(kind="leaf", trunk=0))
    with pytest.raises(ModelError, match="'width'"):
        model.add([BAR], branch=BranchConfig(kind="decoder", trunk=0, options={"width": 2}))
    with pytest.raises(ModelError, match="not random"):
        segmenter((DISC,), network="unet2d-bayes").add([BAR], branch=ADAPTER)
    with pytest.raises(ModelError, match="scored together"):
        segmenter((DISC,), output="classes").add([BAR], branch=ADAPTER)
    assert model.structures == (DISC, SQUARE)


def test_normalisation_of_an_adapter_is_its_own():
    model = grown(ADAPTER)
    before = bits(model.trunks[0])
    model.trunks[1].train()
    model(image_for(model), [SQUARE])
    norms = [item for item in model.trunks[1].modules() if isinstance(item, nn.BatchNorm2d)]
    assert all(int(item.num_batches_tracked) == 1 for item in norms)
    assert all(torch.equal(value, before[name]) for name, value in model.trunks[0].state_dict().items())
