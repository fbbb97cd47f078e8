"""From probabilities to masks."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from IncrementalSegLib.networks.decision import decide


@pytest.mark.parametrize(
    ("probability", "overlapping", "exclusive"),
    [
        ((0.6, 0.3), (True, False), (True, False)),
        ((0.4, 0.35), (False, False), (True, False)),  # more than the background's 0.25
        ((0.3, 0.2), (False, False), (False, False)),  # the background has 0.5
        ((0.5, 0.5), (True, True), (True, False)),
        ((0.0, 0.0), (False, False), (False, False)),
        ((0.25, 0.25), (False, False), (False, False)),
    ],
)
def test_masks_equal_the_table(probability, overlapping, exclusive):
    voxel = torch.tensor(probability).view(2, 1, 1, 1)
    assert tuple(decide(voxel, [False, False]).flatten().tolist()) == overlapping
    assert tuple(decide(voxel, [True, True]).flatten().tolist()) == exclusive
    beside = decide(
        torch.cat([voxel[:1], torch.tensor([0.5, 0.49]).view(2, 1, 1, 1), voxel[1:]]), [True, False, False, True]
    )
    assert tuple(beside.flatten().tolist()) == (exclusive[0], True, False, exclusive[1])


@given(st.integers(1, 4), st.integers(0, 2**31))
def test_exclusive_masks_are_the_argmax_of_the_softmax(count, seed):
    probability = torch.randn(1 + count, 2, 3, 4, generator=torch.Generator().manual_seed(seed)).softmax(0)
    masks = decide(probability[1:], [True] * count)
    expected = torch.stack([probability.argmax(0) == row for row in range(1, 1 + count)])
    assert torch.equal(masks, expected)
    assert masks.sum(0).max() <= 1
