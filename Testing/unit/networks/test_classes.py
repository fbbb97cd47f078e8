"""The growing softmax: columns, balanced rows, removal."""

import math

import pytest
import torch

from IncrementalSegLib.errors import ModelError
from IncrementalSegLib.networks.config import SegmenterConfig
from IncrementalSegLib.networks.segmenter import Segmenter
from IncrementalSegLib.networks.sharing import fingerprints

A, B, C, D = (letter * 32 for letter in "abcd")


def network(dimension=2, names=(A, B)):
    torch.manual_seed(0)
    model = Segmenter(SegmenterConfig(network=f"unet{dimension}d", widths=(4, 8), output="classes", dropout=0.0))
    model.add(names)
    return model.eval()


def image(dimension=2):
    return torch.randn(2, 1, *[8] * dimension, generator=torch.Generator().manual_seed(1))


@pytest.fixture(params=[2, 3])
def dimension(request):
    return request.param


def test_logits_are_background_then_structures_whatever_is_asked_for(dimension):
    model = network(dimension)
    with torch.no_grad():
        everything, some = model(image(dimension)), model(image(dimension), [B])
        features = everything.features.decoder
        apart = torch.cat([row(features) for row in model.output.rows.values()], dim=1)
    assert everything.logits.shape == (2, 3, *[8] * dimension)
    assert torch.equal(everything.logits, some.logits)
    torch.testing.assert_close(everything.logits, apart)
    assert list(model.output.rows) == ["background", A, B]


def test_probabilities_are_those_asked_for_and_leave_the_rest_to_the_background():
    model = network()
    logits = torch.randn(2, 3, 4, 4) * 5
    softmax = logits.softmax(1)
    torch.testing.assert_close(model.probabilities(logits), softmax[:, 1:])
    torch.testing.assert_close(model.probabilities(logits, [B, A]), softmax[:, [2, 1]])
    assert model.probabilities(logits.bfloat16(), [B]).dtype == torch.float32


@pytest.mark.parametrize("new", [(C,), (C, D)])
def test_balanced_rows_change_no_old_probability_and_share_the_background(dimension, new):
    model = network(dimension)
    with torch.no_grad():
        before = model(image(dimension)).logits.softmax(1)
        model.add(new)
        model.output.balance(new)
        after = model(image(dimension)).logits.softmax(1)
    torch.testing.assert_close(after[:, 1:3], before[:, 1:3])
    for column in (0, *range(3, 3 + len(new))):
        torch.testing.assert_close(after[:, column], before[:, 0] / (1 + len(new)))


def test_balanced_rows_have_the_numbers_of_the_paper():
    model = network()
    weight, bias = (value.clone() for value in model.output.rows["background"].state_dict().values())
    model.add([C, D])
    model.output.balance([C, D])
    for name in ("background", C, D):
        assert torch.equal(model.output.part(name).weight, weight)
        torch.testing.assert_close(model.output.part(name).bias, bias - math.log(3))


def test_removing_gives_its_share_to_all_others():
    model = network(names=(A, B, C))
    with torch.no_grad():
        before = model(image()).logits
        model.remove(B)
        after = model(image()).logits
    torch.testing.assert_close(after, before[:, [0, 1, 3]])
    assert model.structures == (A, C)


def test_it_is_rebuilt_with_its_columns_in_order():
    model = network(names=(C, A, B))
    again = Segmenter.from_architecture(model.architecture(), model.state_dict()).eval()
    with torch.no_grad():
        assert torch.equal(again(image()).logits, model(image()).logits)
    assert again.exclusive


def test_structures_that_exclude_each_other_share_one_trunk():
    with pytest.raises(ModelError, match="one trunk"):
        network().add([C], own_trunk=True)


@pytest.fixture
def mixed(dimension):
    """Return two structures in the softmax, one with a head on the same trunk, one on a trunk of its own."""
    model = network(dimension)
    model.add([C], overlapping=True)
    model.add([D], own_trunk=True, overlapping=True)
    return model.eval()


def test_heads_beside_a_softmax_leave_every_bit_of_it(mixed, dimension):
    before, seen = network(dimension), image(dimension)
    with torch.no_grad():
        alone = before(seen).logits
        for wanted in ([A, B, C, D], [D, A], [B], [C, B]):
            logits = mixed(seen, wanted).logits
            assert torch.equal(logits[:, :3], alone)
            expected = before.probabilities(alone)
            found = mixed.probabilities(logits, wanted)
            for row, item in enumerate(wanted):
                if item in (A, B):
                    assert torch.equal(found[:, row], expected[:, (A, B).index(item)])
    assert fingerprints(mixed).items() >= fingerprints(before).items()


def test_any_structures_asked_for_are_scored_alike(mixed, dimension):
    seen = image(dimension)
    with torch.no_grad():
        whole = mixed.probabilities(mixed(seen).logits)
        assert whole.shape == (2, 4, *[8] * dimension)
        for wanted in ([D], [C, D], [D, B], [C, A, D]):
            found = mixed.probabilities(mixed(seen, wanted).logits, wanted)
            torch.testing.assert_close(found, whole[:, [mixed.structures.index(item) for item in wanted]])


def test_two_scores_of_each_structure_have_the_probabilities_of_softmax_and_heads(mixed, dimension):
    wanted = [D, B, A]
    logits = mixed(image(dimension), wanted).logits
    pairs = mixed.output.two_way(logits * 30, wanted)
    assert pairs.shape == (2, 3, 2, *[8] * dimension)
    torch.testing.assert_close(pairs.softmax(2)[:, :, 1], mixed.probabilities(logits * 30, wanted))
    pairs.sum().backward()
    assert all(item.grad.isfinite().all() for item in mixed.parameters() if item.grad is not None)


def test_only_the_softmax_decides_on_its_structures(mixed):
    assert mixed.exclusive == {A, B}
    assert mixed.excluding([D, B]) == (False, True)
    assert mixed.deciding([D, C]) == (D, C)
    assert mixed.deciding([D, B]) == (A, B, D)


def test_what_a_head_depends_on(mixed):
    before = fingerprints(mixed)
    with torch.no_grad():
        mixed.output.rows["background"].bias += 1
        mixed.output.heads[C].score.bias += 1
    assert {item for item, found in fingerprints(mixed).items() if found != before[item]} == {A, B, C}


def test_a_softmax_with_heads_is_rebuilt_and_shrinks(mixed, dimension):
    seen = image(dimension)
    for gone in ([], [C], [A], [B]):
        for item in gone:
            mixed.remove(item)
        again = Segmenter.from_architecture(mixed.architecture(), mixed.state_dict()).eval()
        assert again.structures == mixed.structures
        with torch.no_grad():
            assert torch.equal(again(seen).logits, mixed(seen).logits)
    assert mixed.structures == (D,)


def test_rows_on_several_trunks_are_refused(mixed):
    architecture = mixed.architecture()
    assert architecture["heads"] == [C, D]
    with pytest.raises(ModelError, match="one trunk"):
        Segmenter.from_architecture(architecture | {"heads": [C]})


def test_a_family_without_heads_has_none_beside_it():
    model = Segmenter(SegmenterConfig(network="unet2d", widths=(4, 8), output="embedding"))
    with pytest.raises(ModelError, match="output of its own"):
        model.add([A], overlapping=True)
