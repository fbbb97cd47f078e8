"""Generated heads: equal to a loop of convolutions, independent of each other, growing by a column."""

import pytest
import torch
from tiny import segmenter
from torch.nn import functional as F

from IncrementalSegLib.networks.outputs.dynamic import NUMBERS, WIDTH, apply_heads
from IncrementalSegLib.networks.segmenter import Segmenter

A, B, C = (letter * 32 for letter in "abc")
IMAGES = {2: (3, 1, 16, 8), 3: (2, 1, 8, 4, 8)}


def network(dimension=2, names=(A, B), **config):
    return segmenter(names, network=f"unet{dimension}d", output="dynamic", **config).eval()


def image(dimension=2):
    return torch.randn(IMAGES[dimension], generator=torch.Generator().manual_seed(1))


def one_by_one(features, heads):
    """Run the heads as grouped convolutions of one item and one structure at a time."""
    convolve = F.conv2d if features.ndim == 4 else F.conv3d
    ones = [1] * (features.ndim - 2)
    found = []
    for item, of_item in zip(features, heads, strict=True):
        row = []
        for numbers in of_item:
            weights, biases = numbers[: -2 * WIDTH - 1], numbers[-2 * WIDTH - 1 :]
            x = item.unsqueeze(0)
            x = convolve(x, weights[:64].view(8, 8, *ones), biases[:8]).relu()
            x = convolve(x, weights[64:128].view(8, 8, *ones), biases[8:16]).relu()
            row.append(convolve(x, weights[128:].view(1, 8, *ones), biases[16:])[0, 0])
        found.append(torch.stack(row))
    return torch.stack(found)


@pytest.mark.parametrize("size", [(5, 7), (3, 5, 7)])
def test_all_heads_together_equal_a_loop(size):
    assert NUMBERS == 8 * 8 + 8 * 8 + 8 + 8 + 8 + 1
    features = torch.randn(3, WIDTH, *size, requires_grad=True)
    heads = torch.randn(3, 4, NUMBERS, requires_grad=True)
    together, alone = apply_heads(features, heads), one_by_one(features, heads)
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)
    for one, other in zip(
        torch.autograd.grad(together.square().sum(), (features, heads)),
        torch.autograd.grad(alone.square().sum(), (features, heads)),
        strict=True,
    ):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize("dimension", [2, 3])
def test_a_head_depends_on_the_scan_and_on_the_structure(dimension):
    model = network(dimension)
    with torch.no_grad():
        found = model(image(dimension))
        features = found.features
        reduced = model.output.shared["reduce"](features.decoder_dropped)
        columns = torch.stack([model.output.part(name).weight for name in (A, B)])
        codes = torch.eye(2).expand(len(reduced), 2, 2)  # the controller as the paper has it: one linear map of both
        pooled = features.abstraction.flatten(2).mean(2)
        both = torch.cat([pooled.unsqueeze(1).expand(-1, 2, -1), codes], dim=2)
        controller = model.output.shared["controller"]
        heads = F.linear(both, torch.cat([controller.weight, columns.T], dim=1), controller.bias)
    torch.testing.assert_close(found.logits, one_by_one(reduced, heads), rtol=1e-4, atol=1e-4)
    assert (heads[0] - heads[1]).abs().max() > 0.01
    assert (heads[:, 0] - heads[:, 1]).abs().max() > 0.01


def test_any_subset_in_any_order_has_the_same_logits():
    model = network(names=(A, B, C))
    with torch.no_grad():
        everything = model(image()).logits
        some = model(image(), [C, A]).logits
    assert everything.shape == (3, 3, 16, 8)
    torch.testing.assert_close(some, everything[:, [2, 0]])
    assert model(image(), []).logits.shape == (3, 0, 16, 8)


def test_adding_and_removing_leaves_the_others_as_they_are():
    model = network()
    with torch.no_grad():
        before = model(image(), [A]).logits
        state = {name: value.clone() for name, value in model.state_dict().items()}
        model.add([C])
        model.remove(B)
        after = model(image(), [A]).logits
    assert torch.equal(before, after)
    kept = model.state_dict()
    assert all(torch.equal(value, kept[name]) for name, value in state.items() if B not in name)
    assert {name for name in kept if name not in state} == {f"output.codes.{C}.weight"}
    assert not any(B in name for name in kept)


def test_it_is_rebuilt_from_its_architecture_and_weights():
    model = network(names=(C, A))
    again = Segmenter.from_architecture(model.architecture(), model.state_dict()).eval()
    with torch.no_grad():
        assert torch.equal(again(image()).logits, model(image()).logits)
    assert not again.exclusive


def test_trunks_of_their_own_are_scored_each_with_its_features():
    model = network()
    model.add([C], own_trunk=True)
    model.eval()
    with torch.no_grad():
        together = model(image()).logits
        alone = torch.cat([model(image(), [name]).logits for name in (A, B, C)], dim=1)
    torch.testing.assert_close(together, alone)


def test_probability_is_the_sigmoid_in_single_precision():
    model, logits = network(), torch.randn(1, 2, 4, 4) * 5
    torch.testing.assert_close(model.probabilities(logits), 1 / (1 + (-logits).exp()))
    assert model.probabilities(logits.bfloat16()).dtype == torch.float32
