import pytest
import torch

from IncrementalSegLib.networks.padding import crop_to, pad_to_multiple


@pytest.mark.parametrize(("size", "padded"), [((5, 8), (8, 8)), ((4, 4), (4, 4)), ((1, 5, 9), (4, 8, 12))])
def test_padding_repeats_the_last_sample_and_is_undone(size, padded):
    image = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
    large = pad_to_multiple(image, 4)
    assert tuple(large.shape[2:]) == padded
    assert torch.equal(crop_to(large, size), image)
    wanted = image
    for axis, (old, new) in enumerate(zip(size, padded, strict=True), start=2):
        wanted = wanted.index_select(axis, torch.arange(new).clamp(max=old - 1))
    assert torch.equal(large, wanted)
