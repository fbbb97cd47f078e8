"""The sliding window of nnU-Net."""

from __future__ import annotations

import pytest
import torch

from IncrementalSegLib.errors import ModelError
from IncrementalSegLib.inference.budget import MemoryBudget
from IncrementalSegLib.inference.tiles import mirrored, tile_starts, tile_weights, tiled
from IncrementalSegLib.progress import UNTOLD

CPU = torch.device("cpu")
BUDGET = MemoryBudget(3, CPU, CPU)


def test_windows_are_evenly_spaced_from_end_to_end():
    assert tile_starts(64, 64) == [0]
    assert tile_starts(110, 64) == [0, 23, 46]
    assert tile_starts(65, 64) == [0, 1]


def test_weights_are_a_gaussian_that_is_nowhere_zero():
    weights = tile_weights((16, 32, 32))
    assert weights.dtype == torch.float16
    assert weights.argmax() == torch.tensor((8 * 32 + 16) * 32 + 16)
    assert float(weights.max()) == 10
    assert float(weights.min()) > 0
    assert float(weights[8, 16, 20] / weights[8, 16, 16]) == pytest.approx(0.6065, abs=1e-3)  # one standard deviation


@pytest.mark.parametrize("flat", [False, True])
def test_a_score_of_each_voxel_alone_comes_back(flat):
    image = torch.randn(2, 9, 21, 18)
    weights = tile_weights((1, 8, 8) if flat else (4, 8, 8))

    def score(batch):
        assert batch.ndim == (4 if flat else 5)
        return batch.flip(1) * 2

    found = tiled(image, weights, score, BUDGET, UNTOLD, flat=flat)
    inside = (slice(None), slice(1, -1), slice(2, -2), slice(2, -2))  # float16 is coarse in the corners, as in nnU-Net
    torch.testing.assert_close(found.float()[inside], image.flip(0)[inside] * 2, rtol=1e-2, atol=1e-2)


def test_scores_that_are_not_finite_are_refused():
    with pytest.raises(ModelError, match="not finite"):
        tiled(torch.zeros(1, 4, 4, 4), tile_weights((4, 4, 4)), lambda batch: batch / 0, BUDGET, UNTOLD, flat=False)


def test_mirroring_is_the_mean_over_all_ways():
    image = torch.randn(1, 1, 4, 6)
    ramp = torch.arange(6.0)
    found = mirrored(lambda batch: batch * ramp, (1,))(image)
    torch.testing.assert_close(found, image * 2.5)
    calls = []
    mirrored(lambda batch: calls.append(1) or batch, (0, 1))(image)
    assert len(calls) == 4
