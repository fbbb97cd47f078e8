import numpy as np
import pytest
import torch

from IncrementalSegLib.preprocessing.intensity import zscore


def by_hand(values: np.ndarray) -> np.ndarray:
    clipped = np.clip(values, *np.percentile(values, (0.5, 99.5)))
    return (clipped - clipped.mean()) / clipped.std()


def test_each_channel_is_clipped_to_its_percentiles_and_standardised(rng):
    image = np.stack([rng.normal(300, 50, (6, 20, 20)), rng.gamma(2, 0.1, (6, 20, 20))]).astype(np.float32)
    image[0, 0, 0, 0], image[1, 5, 5, 5] = 1e6, -1e6  # a metal artefact and a broken sample
    result = zscore(torch.from_numpy(image)).numpy()
    for channel in range(2):
        np.testing.assert_allclose(result[channel], by_hand(image[channel].astype(np.float64)), atol=1e-3)
    assert np.abs(result).max() < 10


@pytest.mark.parametrize("scale", [1e-20, 1e-9, 1.0, 1e6, 1e30])
def test_the_unit_does_not_matter(scale, generator):
    image = torch.rand(1, 6, 20, 20, generator=generator) + 0.5
    torch.testing.assert_close(zscore(image * scale), zscore(image), atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("value", [0.0, 7.1, -1024.0, 7e8])
def test_a_constant_channel_becomes_zero(value):
    assert not zscore(torch.full((1, 4, 5, 6), value)).any()


def test_only_valid_voxels_count(generator):
    image = torch.randn(1, 6, 20, 20, generator=generator)
    valid = torch.ones(6, 20, 20, dtype=torch.bool)
    valid[:3] = False
    spoiled = torch.where(valid, image, torch.tensor(1e5))
    torch.testing.assert_close(zscore(spoiled, valid)[:, 3:], zscore(image[:, 3:]))
    assert not zscore(image, torch.zeros_like(valid)).any()


def test_a_sparse_image_keeps_its_few_voxels_and_fits_float16():
    image = torch.zeros(1, 40, 100, 100)
    image[0, 20, 50, 50:60] = 1000
    result = zscore(image)
    assert result[0, 20, 50, 55] > 100 * result[0, 0, 0, 0].abs()
    assert result.half().isfinite().all()


def test_a_large_scan_is_sampled_and_close_to_exact(rng):
    image = rng.normal(100, 20, (1, 40, 300, 300)).astype(np.float32)
    result = zscore(torch.from_numpy(image))
    np.testing.assert_allclose(result[0, ::8].numpy(), by_hand(image[0])[::8], atol=0.02)
