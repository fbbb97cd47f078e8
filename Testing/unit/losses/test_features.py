"""Distances of feature maps: padding does not count, at any resolution."""

import pytest
import torch

from IncrementalSegLib.losses.features import squared_distance, valid_share


@pytest.mark.parametrize("size", [(8, 8), (4, 8, 8)])
def test_the_share_is_that_of_the_voxels_below(size):
    valid = torch.ones(1, *size, dtype=torch.bool)
    valid[..., :3] = False
    assert torch.equal(valid_share(valid, size)[:, 0], valid.float())
    half = valid_share(valid, [length // 2 for length in size])
    assert half.shape == (1, 1, *[length // 2 for length in size])
    assert half[0, 0].flatten(0, -2).unique(dim=0).tolist() == [[0.0, 0.5, 1.0, 1.0]]


def test_the_distance_is_the_mean_over_what_is_valid(generator):
    now, before = (torch.randn(2, 3, 4, 4, generator=generator) for _ in range(2))
    valid = torch.ones(2, 8, 8, dtype=torch.bool)
    torch.testing.assert_close(squared_distance(now, before, valid), (now - before).square().mean())
    valid[:, :, 4:] = False
    left = squared_distance(now, before, valid)
    torch.testing.assert_close(left, (now - before)[..., :2].square().mean())
    now[..., 2:] = 1e6
    assert squared_distance(now, before, valid) == left
    assert squared_distance(now, before, torch.zeros_like(valid)) == 0
