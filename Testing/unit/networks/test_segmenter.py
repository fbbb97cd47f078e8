"""A segmenter grows, forgets nothing by growing, samples, and comes back from its description."""

import copy
import json

import pytest
import torch
from tiny import BAR, DISC, SQUARE, bits, changed, segmenter
from torch import nn

from IncrementalSegLib.errors import ModelError, UnknownNameError
from IncrementalSegLib.networks.config import SegmenterConfig
from IncrementalSegLib.networks.segmenter import Segmenter

OFFICIAL = {"head_depth": 2, "head_norm": True}


@pytest.fixture
def image(generator):
    return torch.randn(2, 1, 16, 16, generator=generator)


def test_growing_leaves_old_structures_as_they_were(image):
    model = segmenter((DISC,)).eval()
    before, weights = model(image).logits, bits(model)
    model.add([SQUARE])
    model.add([BAR], own_trunk=True)
    assert model.structures == (DISC, SQUARE, BAR)
    assert model.trunk_of == {DISC: 0, SQUARE: 0, BAR: 1}
    assert torch.equal(model(image, [DISC]).logits, before)
    assert changed(weights, {name: model.state_dict()[name] for name in weights}) == set()
    model.add([])
    assert len(model.trunks) == 2


def test_a_structure_is_added_once():
    model = segmenter((DISC,))
    with pytest.raises(ModelError, match=DISC):
        model.add([DISC])


@pytest.mark.parametrize("own_trunk", [False, True])
def test_any_subset_in_any_order(image, own_trunk):
    model = segmenter(())
    for item in (DISC, SQUARE, BAR):
        model.add([item], own_trunk=own_trunk)
    model.eval()
    with torch.no_grad():
        everything = model(image).logits
        some = model(image, [BAR, DISC])
    assert tuple(everything.shape) == (2, 3, 2, 16, 16)
    torch.testing.assert_close(some.logits, everything[:, [2, 0]])
    with torch.no_grad():
        torch.testing.assert_close(some.features.decoder, model.trunk(0)(image).decoder)


def test_separate_trunks_share_nothing(image):
    model = segmenter(())
    for item in (DISC, SQUARE):
        model.add([item], own_trunk=True)
    model(image, [SQUARE]).logits.sum().backward()
    assert all(weight.grad is None for weight in model.trunks[0].parameters())
    assert all(weight.grad is not None for weight in model.trunks[1].parameters())


def test_removing_leaves_the_others(image):
    model = segmenter((DISC, SQUARE)).eval()
    before = model(image, [SQUARE]).logits
    model.remove(DISC)
    assert model.structures == (SQUARE,)
    assert torch.equal(model(image).logits, before)


@pytest.mark.parametrize("config", [{}, OFFICIAL, {"network": "unet3d"}], ids=["1x1", "2019", "3-D"])
def test_it_comes_back_from_its_description(config):
    model = segmenter((DISC, SQUARE), **config)
    model.add([BAR], own_trunk=True)
    model.eval()
    description = json.loads(json.dumps(model.architecture(), allow_nan=False))
    back = Segmenter.from_architecture(description, model.state_dict()).eval()
    image = torch.randn(2, 1, *[16] * back.trunk(0).dimension)
    assert back.structures == model.structures
    assert torch.equal(back(image).logits, model(image).logits)


def test_foreign_weights_are_refused():
    model, other = segmenter((DISC,)), segmenter((SQUARE,))
    with pytest.raises(ModelError, match="do not fit"):
        Segmenter.from_architecture(model.architecture(), other.state_dict())


def test_an_unknown_network_is_named():
    with pytest.raises(UnknownNameError, match=r"unet4d.*unet3d"):
        segmenter((DISC,), network="unet4d")


def test_a_copy_is_independent(image):
    model = segmenter((DISC,)).eval()
    twin = copy.deepcopy(model)
    before = bits(model)
    assert not twin.training
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.add_(1)
    twin.add([SQUARE])
    assert model.structures == (DISC,)
    assert changed(before, bits(model)) == set()


class TestMonteCarlo:
    def passes(self, model, image, seed=0, count=5, structures=None):
        return torch.stack(list(model.monte_carlo(image, count, torch.Generator().manual_seed(seed), structures)))

    @pytest.mark.parametrize("config", [{}, OFFICIAL], ids=["1x1", "2019"])
    @pytest.mark.parametrize("training", [False, True])
    def test_passes_differ_and_leave_the_model_as_it_was(self, image, config, training):
        model = segmenter(**config).train(training)
        before = bits(model)
        found = self.passes(model, image)
        assert tuple(found.shape) == (5, 2, 2, 16, 16)
        assert (found.var(dim=0).flatten(2).amax(-1) > 0).all()
        assert changed(before, bits(model)) == set()
        assert model.training is training
        assert all(module.training is training for module in model.modules() if isinstance(module, nn.BatchNorm2d))

    def test_they_depend_on_the_generator_and_not_on_the_batch(self, image):
        model = segmenter(dropout=0.5)
        found = self.passes(model, image)
        torch.rand(3)
        assert torch.equal(self.passes(model, image), found)
        assert not torch.equal(self.passes(model, image, seed=1), found)

    def test_the_deterministic_half_runs_once(self, image):
        model, calls = segmenter(), []
        model.trunk(0).down[0].register_forward_hook(lambda *_: calls.append(1))
        self.passes(model, image, count=7)
        assert len(calls) == 1

    def test_their_mean_is_near_the_prediction_without_dropout(self, image):
        model = segmenter(dropout=0.02).eval()
        with torch.no_grad():
            plain = model.probabilities(model(image, [SQUARE]).logits)
        found = self.passes(model, image, count=200, structures=[SQUARE])
        assert (found.mean(0) - plain).abs().mean() < 0.02

    def test_a_cancelled_run_leaves_eval_mode_behind(self, image):
        model = segmenter().train()
        run = model.monte_carlo(image, 5, torch.Generator())
        next(run)
        run.close()
        assert model.training
        assert torch.equal(model.trunk(0).drop.eval()(image), image)


def test_three_dimensions_on_a_cpu_stay_in_float32():
    """In bf16 the gradients of small 3-D convolutions read memory that was never written: NaN, now and then."""
    model = Segmenter(SegmenterConfig(network="unet3d", widths=(4, 8, 16)))
    model.add(["a" * 32])
    with torch.autocast("cpu", torch.bfloat16):
        assert model(torch.randn(1, 1, 8, 8, 8)).logits.dtype == torch.float32
