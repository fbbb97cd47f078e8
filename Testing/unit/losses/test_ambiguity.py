"""The ambiguity-aware losses against plain loops over items, labels and voxels."""

import math

import pytest
import torch
from torch.distributions import Categorical

from IncrementalSegLib.losses.ambiguity import ambiguous_dice, focal, mean_entropy

HIDDEN = torch.tensor([[True, False, True, False], [True, True, False, True]])


@pytest.fixture
def scene(generator):
    """Logits of background and three structures; the second item has no labelled voxel; two thirds are valid."""
    logits = torch.randn(2, 4, 4, 5, generator=generator) * 2
    column = torch.randint(0, 2, (2, 4, 5), generator=generator) * torch.tensor([3, 0]).view(2, 1, 1)
    valid = torch.rand(2, 4, 5, generator=generator) < 0.7
    return logits, column, valid


def test_focal_is_the_equation_and_zero_focus_is_plain():
    probability = torch.tensor([1.0, 0.9, 0.5, 0.01])
    plain = -probability.log()
    torch.testing.assert_close(focal(plain, 2.0), (1 - probability) ** 2 * plain)
    assert torch.equal(focal(plain, 0.0), plain)


def test_focal_has_a_finite_gradient_where_the_network_is_certain():
    scores = torch.tensor([0.0, 100.0], requires_grad=True)
    focal(-scores.log_softmax(0)[1], 2.0).backward()
    assert scores.grad.isfinite().all()


def test_dice_counts_the_labels_that_occur_and_takes_unlabelled_for_all_that_may_hide(scene):
    logits, column, valid = scene
    items = []
    for item in range(2):
        inside = valid[item].flatten()
        p = logits[item].double().softmax(0).flatten(1)[:, inside]
        labels = column[item].flatten()[inside]
        scores = []
        for label in labels.unique().tolist():
            found = p[HIDDEN[item]].sum(0) if label == 0 else p[label]
            truth = (labels == label).double()
            scores.append((2 * (found * truth).sum() + 1) / (found.sum() + truth.sum() + 1))
        items.append(1 - sum(scores) / len(scores))
    assert len(column[0].unique()) == 2
    torch.testing.assert_close(ambiguous_dice(logits, column, HIDDEN, valid).double(), sum(items) / 2)


def test_an_item_without_a_valid_voxel_does_not_count(scene):
    logits, column, valid = scene
    valid[1] = False
    alone = ambiguous_dice(logits[:1], column[:1], HIDDEN[:1], valid[:1])
    torch.testing.assert_close(ambiguous_dice(logits, column, HIDDEN, valid), alone)
    assert ambiguous_dice(logits, column, HIDDEN, torch.zeros_like(valid)) == 0


def test_the_mean_entropy_weighs_items_without_a_label(scene):
    logits, column, valid = scene
    entropies = Categorical(logits=logits.movedim(1, -1)).entropy()
    expected = (entropies * torch.tensor([1.0, 3.0]).view(2, 1, 1))[valid].mean()
    torch.testing.assert_close(mean_entropy(logits, column, valid), expected)
    flat = torch.zeros(1, 4, 2, 2)
    found = mean_entropy(flat, torch.ones(1, 2, 2, dtype=torch.long), torch.ones(1, 2, 2, dtype=torch.bool))
    assert found.item() == pytest.approx(math.log(4))
