import math

import pytest
import torch

from IncrementalSegLib.losses.clusters import attraction, repulsion, sparsity


def case(batch=3, size=(4, 5), seed=0):
    random = torch.Generator().manual_seed(seed)
    features = torch.rand(batch, 6, *size, generator=random)
    return features, torch.randint(-1, 3, (batch, *size), generator=random), torch.rand(4, 6, generator=random)


def vectors(features, labels, row):
    return features.movedim(1, -1)[labels == row]


@pytest.mark.parametrize("size", [(4, 5), (2, 3, 2)])
def test_attraction_equals_a_loop_in_which_every_class_counts_alike(size):
    """Public code divides by the number of classes inside its loop, and mixes channels in a batch of several."""
    features, labels, means = case(size=size)
    wanted = [float((vectors(features, labels, row) - means[row]).square().mean()) for row in range(3)]
    assert float(attraction(features, labels, means)) == pytest.approx(sum(wanted) / 3, rel=1e-5)


def test_attraction_to_no_class_is_zero():
    features, labels, means = case()
    features.requires_grad_()
    term = attraction(features, torch.full_like(labels, -1), means)
    term.backward()
    assert term == 0
    assert features.grad.abs().max() == 0


def test_repulsion_hand_table():
    means = torch.tensor([[0.0, 0.0], [3.0, 4.0], [7.0, 7.0], [0.0, 2.0]])
    present = torch.tensor([True, True, False, True])
    wanted = (1 / 5 + 1 / 2 + 1 / math.sqrt(13)) / 3
    assert float(repulsion(means, present)) == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("classes", [0, 1])
def test_repulsion_needs_two_classes(classes):
    assert repulsion(torch.ones(3, 4), torch.arange(3) < classes) == 0


def test_repulsion_of_equal_means_is_finite():
    means = torch.ones(3, 4, requires_grad=True)
    term = repulsion(means, torch.ones(3, dtype=torch.bool))
    term.backward()
    assert torch.isfinite(term)
    assert torch.isfinite(means.grad).all()


@pytest.mark.parametrize("size", [(4, 5), (2, 3, 2)])
def test_sparsity_equals_a_loop(size):
    features, labels, _ = case(size=size)
    ratios = []
    for row in range(3):
        own = vectors(features, labels, row)
        ratios += [float((vector / own.max()).exp().sum() / (vector / own.max()).sum()) for vector in own]
    assert float(sparsity(features, labels, 4)) == pytest.approx(sum(ratios) / len(ratios), rel=1e-5)


def test_sparsity_hand_table():
    """As printed it is least where all features are at their highest, not where few are active."""
    one = torch.zeros(1, 4, 1, 1)
    one[0, 0] = 1
    labels = torch.zeros(1, 1, 1, dtype=torch.long)
    assert float(sparsity(one, labels, 1)) == pytest.approx(math.e + 3)
    assert float(sparsity(torch.ones(1, 4, 1, 1), labels, 1)) == pytest.approx(math.e)


def test_dead_features_and_voxels_that_do_not_count_are_finite():
    features = torch.zeros(1, 4, 2, 2)
    features[0, :, 1] = 1e30
    features.requires_grad_()
    labels = torch.tensor([[[0, 1], [-1, -1]]])
    term = sparsity(features, labels, 2)
    term.backward()
    assert torch.isfinite(term)
    assert torch.isfinite(features.grad).all()
    assert sparsity(features, torch.full_like(labels, -1), 2) == 0
