"""Uncertainty of random passes: its parts by hand, their sum, and nothing epistemic without randomness."""

import math

import numpy as np
import pytest
import torch
from tiny import CPU, plan, segmenter

from IncrementalSegLib.inference.predictor import ENCODINGS, UNCERTAINTY_PASSES, Predictor
from IncrementalSegLib.inference.uncertainty import uncertainty_of


def passes(exclusive, count=6, structures=3):
    random = torch.Generator().manual_seed(0)
    drawn = torch.randn(count, 2, structures + 1, 5, 4, generator=random)
    return list(drawn.softmax(2)[:, :, 1:] if exclusive else drawn.sigmoid()[:, :, 1:])


@pytest.mark.parametrize("exclusive", [True, False])
def test_the_parts_equal_a_loop_over_voxels(exclusive):
    drawn = passes(exclusive)
    found = uncertainty_of(iter(drawn), [exclusive] * 3)
    values = torch.stack(drawn).double().numpy()

    def entropy(outcomes):
        return -sum(value * math.log(value) for value in outcomes if value > 0) / math.log(len(outcomes))

    for index in np.ndindex(2, 5, 4):
        item, *place = index
        each = values[:, item, :, place[0], place[1]]  # (passes, K)
        groups = (
            [[[*share, 1 - sum(share)] for share in each]]
            if exclusive
            else [[[share, 1 - share] for share in column] for column in each.T]
        )
        pairs = [(entropy(np.mean(group, axis=0)), np.mean([entropy(one) for one in group])) for group in groups]
        total, aleatoric = max(pairs)
        assert float(found.total[index]) == pytest.approx(total, abs=1e-5)
        assert float(found.aleatoric[index]) == pytest.approx(aleatoric, abs=1e-5)
    torch.testing.assert_close(found.aleatoric + found.epistemic, found.total)
    assert found.epistemic.max() > 0.01


@pytest.mark.parametrize("exclusive", [True, False])
def test_equal_passes_leave_nothing_epistemic(exclusive):
    found = uncertainty_of([passes(exclusive)[0]] * 5, [exclusive] * 3)
    assert found.total.max() > 0.1
    assert found.epistemic.max() < 1e-6


@pytest.mark.parametrize("joint", [[0, 1, 2], [0, 2], [1], []])
def test_of_two_groups_the_more_uncertain_one_counts(joint):
    """Rows 0 to 2 exclude each other or not; each group alone has the uncertainty that it has beside the other."""
    shares, alone = passes(True), passes(False)
    drawn = [one.clone() for one in alone]
    for mixed, share in zip(drawn, shares, strict=True):
        mixed[:, joint] = share[:, joint]
    found = uncertainty_of(drawn, [row in joint for row in range(3)])
    apart = [row for row in range(3) if row not in joint]
    groups = [([one[:, joint] for one in shares], True)] * bool(joint) + [
        ([one[:, [row]] for one in alone], False) for row in apart
    ]
    each = torch.stack([uncertainty_of(group, [exclusive] * group[0].shape[1]).total for group, exclusive in groups])
    torch.testing.assert_close(found.total, each.amax(0))


def test_passes_sure_of_different_things_are_epistemic_alone():
    one, other = torch.tensor([1.0, 0.0]).view(1, 2, 1), torch.tensor([0.0, 1.0]).view(1, 2, 1)
    found = uncertainty_of([one, other], [True] * 2)
    assert float(found.aleatoric) == 0
    assert float(found.epistemic) == pytest.approx(math.log(2) / math.log(3))


def test_no_pass_is_refused():
    with pytest.raises(ValueError, match="no passes"):
        uncertainty_of([], [True])


@pytest.mark.parametrize(("network", "dropout"), [("unet2d-bayes", 0.0), ("unet2d", 0.5), ("unet2d", 0.0)])
def test_a_network_is_epistemically_uncertain_where_its_passes_differ(network, dropout):
    model = segmenter(network=network, dropout=dropout, output="classes")
    image = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    found = Predictor(model, plan(), CPU).uncertainty(image, model.structures, seed=3)
    assert found.total.shape == found.aleatoric.shape == (3, 32, 32)
    largest = float(found.epistemic.max())
    assert largest > 1e-4 if network == "unet2d-bayes" or dropout else largest < 1e-6
    random = torch.Generator().manual_seed(3)
    with torch.no_grad():
        again = uncertainty_of(
            model.monte_carlo(image.transpose(0, 1), UNCERTAINTY_PASSES, random, model.structures, ENCODINGS),
            [True] * 2,
        )
    torch.testing.assert_close(found.total, again.total)


def test_independent_passes_of_a_bayesian_network_show_more_of_the_epistemic_part():
    model = segmenter(network="unet2d-bayes", dropout=0.0, output="classes")
    image = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    ready = Predictor(model, plan(), CPU)
    shared, independent = (
        torch.stack(
            [ready.uncertainty(image, model.structures, seed, independent=each).epistemic for seed in range(8)]
        ).mean()
        for each in (False, True)
    )
    assert 0.5 < float(shared / independent) < 1
