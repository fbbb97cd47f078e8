"""The binary cross-entropy against a loop over structures; what counts in its mean."""

import pytest
import torch
from torch.nn import functional as F

from IncrementalSegLib.losses.sigmoid import binary_cross_entropy


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_voxels_are_averaged_in_a_structure_and_structures_among_those_that_count(generator, reduction):
    scores = torch.randn(2, 3, 4, 5, generator=generator) * 3
    target = torch.rand(2, 3, 4, 5, generator=generator)
    valid = torch.rand(2, 3, 4, 5, generator=generator) < 0.6
    valid[:, 1] = False
    each = [F.binary_cross_entropy(scores[:, k].sigmoid()[valid[:, k]], target[:, k][valid[:, k]]) for k in (0, 2)]
    found = binary_cross_entropy(scores, target, valid, reduction=reduction)
    torch.testing.assert_close(found, sum(each) / (2 if reduction == "mean" else 1))


def test_nothing_valid_gives_zero_and_no_gradient():
    scores = torch.randn(2, 3, 4, requires_grad=True)
    found = binary_cross_entropy(scores, torch.ones(2, 3, 4), torch.zeros(2, 3, 1, dtype=torch.bool))
    found.backward()
    assert found == 0
    assert not scores.grad.any()
