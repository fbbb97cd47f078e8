import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from IncrementalSegLib.prototypes.means import masked_means, weighted_means


def loop(features, masks):
    """Return means and counts, voxel by voxel."""
    means = torch.zeros(masks.shape[1], features.shape[1], dtype=torch.float64)
    counts = [0] * masks.shape[1]
    for item in range(features.shape[0]):
        for row in range(masks.shape[1]):
            for place in masks[item, row].nonzero():
                means[row] += features[(item, slice(None), *place)].double()
                counts[row] += 1
    return means / torch.tensor(counts).clamp(min=1)[:, None], counts


@given(
    st.integers(1, 3), st.integers(1, 4), st.integers(1, 3), st.sampled_from([(2, 3), (2, 3, 2)]), st.integers(0, 99)
)
def test_equals_the_plain_loop(batch, channels, structures, size, seed):
    random = torch.Generator().manual_seed(seed)
    features = torch.randn(batch, channels, *size, generator=random)
    masks = torch.randint(0, 2, (batch, structures, *size), generator=random, dtype=torch.uint8)
    means, counts = masked_means(features, masks)
    wanted, wanted_counts = loop(features, masks)
    assert counts.tolist() == wanted_counts
    assert means.dtype == torch.float64
    torch.testing.assert_close(means, wanted)


@pytest.mark.parametrize(
    ("masked", "wanted", "shape_of_the_bug", "wrong"),
    [
        ([[0], [3]], [7.5, 11.5, 15.5], (3, -1), [2.0, 11.5, 21.0]),
        ([[0, 3]], [1.5, 5.5, 9.5], (-1, 3), [3.5, 5.5, 7.5]),
    ],
)
def test_channels_are_not_mixed_by_a_reshape(masked, wanted, shape_of_the_bug, wrong):
    batch = len(masked)
    features = torch.arange(batch * 12, dtype=torch.float32).view(batch, 3, 2, 2)
    mask = torch.zeros(batch, 1, 4, dtype=torch.bool)
    for item, voxels in enumerate(masked):
        mask[item, 0, voxels] = True
    mask = mask.view(batch, 1, 2, 2)
    picked = features[mask.expand(-1, 3, -1, -1)].view(shape_of_the_bug)  # as in public code
    assert picked.mean(1 if shape_of_the_bug[0] == 3 else 0).tolist() == pytest.approx(wrong)
    assert masked_means(features, mask)[0][0].tolist() == pytest.approx(wanted)


def test_an_empty_mask_gives_zero_and_no_nan():
    means, counts = masked_means(torch.ones(1, 2, 3, 3), torch.zeros(1, 1, 3, 3))
    assert counts.tolist() == [0]
    assert means.tolist() == [[0.0, 0.0]]


def test_sizes_must_match():
    with pytest.raises(ValueError, match="do not match"):
        masked_means(torch.ones(1, 2, 3, 3), torch.ones(1, 1, 3, 4))


def test_weights_of_voxels_count():
    random = torch.Generator().manual_seed(3)
    features, weights = torch.randn(2, 3, 4, 5, generator=random), torch.rand(2, 2, 4, 5, generator=random)
    weights[:, 1] = 0
    means, totals = weighted_means(features, weights)
    wanted = (features.double() * weights[:, :1].double()).sum((0, 2, 3)) / weights[:, 0].double().sum()
    torch.testing.assert_close(means[0], wanted)
    assert means[1].abs().max() == 0
    assert totals.tolist() == pytest.approx([float(weights[:, 0].double().sum()), 0.0])


def test_gradients_reach_the_features_under_the_mask_alone():
    features = torch.ones(2, 3, 4, 4, requires_grad=True)
    masks = torch.zeros(2, 2, 4, 4)
    masks[1, 0, :2] = 1
    masked_means(features, masks)[0].sum().backward()
    assert torch.equal(features.grad[1, :, :2], torch.full((3, 2, 4), 1 / 8))
    assert features.grad.sum() == pytest.approx(3)
