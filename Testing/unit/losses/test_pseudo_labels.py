"""Pseudo-labels: entropies normalised once, and a share per item."""

import math

import pytest
import torch

from IncrementalSegLib.losses.pseudo_labels import entropy, pseudo_labels

OWN = [2, 1]
"""The previous model's two structures are columns 2 and 1 of the model."""


def voxels(*rows):
    """Return probabilities (1, C, voxels) from one tuple per voxel."""
    return torch.tensor(rows).T.unsqueeze(0)


SURE, TORN = (0.98, 0.01, 0.01), (0.4, 0.3, 0.3)


@pytest.mark.parametrize("classes", [2, 3, 9])
def test_entropy_is_normalised_once(classes):
    """PLOP's public code takes the mean over classes and divides by log C a second time (A0.5, 4)."""
    even = torch.full((1, classes, 2), 1 / classes)
    torch.testing.assert_close(entropy(even), torch.ones(1, 2))
    certain = torch.zeros(1, classes, 2)
    certain[:, 0] = 1
    assert entropy(certain).abs().max() == 0
    half = torch.zeros(1, classes, 2)
    half[:, :2] = 0.5
    torch.testing.assert_close(entropy(half), torch.full((1, 2), math.log(2) / math.log(classes)))


def test_entropy_is_finite_in_half_precision_and_for_one_class():
    assert entropy(torch.ones(1, 1, 3)).abs().max() == 0
    assert entropy(torch.tensor([[[1.0], [0.0]]]).bfloat16()).dtype == torch.float32


def test_labels_stay_and_gaps_are_filled_where_the_previous_model_is_sure():
    column = torch.tensor([[3, 0, 0, 0, 0]])
    probability = voxels((0.0, 1.0, 0.0), (0.01, 0.98, 0.01), (0.01, 0.01, 0.98), SURE, (0.3, 0.4, 0.3))
    found = pseudo_labels(column, probability, OWN, 0.5)
    assert found.column.tolist() == [[3, 2, 1, 0, 0]]
    assert found.accepted.tolist() == [[False, True, True, True, False]]
    assert found.rejected.tolist() == [[False, False, False, False, True]]


def test_without_a_threshold_everything_is_accepted():
    found = pseudo_labels(torch.zeros(1, 1, dtype=torch.long), torch.full((1, 3, 1), 1 / 3), OWN)
    assert found.accepted.all()


def test_thresholds_are_those_of_the_class_that_is_found():
    column = torch.zeros(1, 3, dtype=torch.long)
    probability = voxels((0.6, 0.2, 0.2), (0.2, 0.6, 0.2), (0.2, 0.2, 0.6))  # the same entropy, 0.865
    found = pseudo_labels(column, probability, OWN, torch.tensor([0.9, 0.8, 0.9]))
    assert found.accepted.tolist() == [[True, False, True]]
    assert found.column.tolist() == [[0, 0, 1]]


def test_the_share_is_counted_per_item_among_valid_unlabelled_voxels():
    column = torch.tensor([[3, 0, 0, 0], [0, 0, 0, 0], [3, 3, 3, 3]])
    probability = torch.cat([voxels(SURE, SURE, TORN, TORN), voxels(SURE, SURE, SURE, TORN), voxels(*[TORN] * 4)])
    found = pseudo_labels(column, probability, OWN, 0.5)
    valid = torch.ones(3, 4, dtype=torch.bool)
    assert found.share(valid).tolist() == pytest.approx([1 / 3, 3 / 4, 1])
    valid[:, 3] = False
    assert found.share(valid).tolist() == pytest.approx([1 / 2, 1, 1])
