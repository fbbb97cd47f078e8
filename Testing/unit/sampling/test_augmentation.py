import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import affine_transform

from IncrementalSegLib.sampling import augmentation
from IncrementalSegLib.sampling.augmentation import Augmentation, augment
from IncrementalSegLib.sampling.batch import Batch

STILL = Augmentation(share=0.0, degrees=0.0, scale=1.0, brightness=0.0, contrast=0.0, noise=0.0)
MOVING = replace(STILL, share=1.0, degrees=30.0, scale=1.2)
SHAPES = [(40, 64), (20, 32, 40)]


def batch_of(mask: torch.Tensor, items: int = 4) -> Batch:
    """Return a batch whose image equals its mask."""
    shape = tuple(mask.shape)
    return Batch(
        image=mask.float().expand(items, 1, *shape).clone(),
        label=mask.to(torch.uint8).expand(items, 1, *shape).clone(),
        looked_for=torch.ones(items, 1, dtype=torch.bool),
        ignore=torch.zeros(items, *shape, dtype=torch.bool),
        source="new",
        cases=tuple("abcdefgh"[:items]),
    )


def ball(shape, radius=7.0):
    axes = torch.meshgrid(*(torch.arange(size) - (size - 1) / 2 for size in shape), indexing="ij")
    return sum(axis**2 for axis in axes) <= radius**2


def gen(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def strongest(monkeypatch):
    """Let every uniform number be 1: the largest turn and the largest scale, in every item."""
    monkeypatch.setattr(augmentation, "_random", lambda count, generator: torch.ones(count))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("share", [0.0, 1.0])
def test_without_strength_nothing_changes(shape, share, generator):
    batch = replace(batch_of(ball(shape)), image=torch.randn(4, 1, *shape, generator=generator))
    same = augment(batch, replace(STILL, share=share), gen())
    torch.testing.assert_close(same.image, batch.image, atol=2e-4, rtol=0)
    assert torch.equal(same.label, batch.label)
    assert torch.equal(same.ignore, batch.ignore)


@pytest.mark.parametrize("shape", SHAPES)
def test_image_and_mask_move_together(shape):
    batch = batch_of(torch.roll(ball(shape), (3, -5), (-1, -2)))
    moved = augment(batch, MOVING, gen())
    assert not torch.equal(moved.label, batch.label)
    for image, label in zip(moved.image[:, 0] > 0.5, moved.label[:, 0].bool(), strict=True):
        assert 2 * (image & label).sum() / (image.sum() + label.sum()) > 0.95


@pytest.mark.parametrize("degrees", [20.0, 45.0, 90.0])
@pytest.mark.parametrize("shape", [(48, 48), (40, 72), (72, 40)])
def test_a_square_stays_a_square_and_turns_by_the_angle(shape, degrees, strongest):
    mask = torch.zeros(shape, dtype=torch.bool)
    middle = [size // 2 for size in shape]
    mask[middle[0] - 8 : middle[0] + 8, middle[1] - 8 : middle[1] + 8] = True
    turned = augment(batch_of(mask, 1), replace(STILL, share=2.0, degrees=degrees), gen())
    label = turned.label[0, 0]
    assert label.sum() == pytest.approx(256, rel=0.06)
    side = 16 * (abs(math.cos(math.radians(degrees))) + abs(math.sin(math.radians(degrees))))
    spread = label.nonzero().amax(dim=0) - label.nonzero().amin(dim=0) + 1
    assert spread.tolist() == pytest.approx([side, side], abs=2)


@pytest.mark.parametrize("axes", [(0, 1), (0, 2), (1, 2)])
def test_turns_in_3d_agree_with_scipy(axes, strongest, monkeypatch, rng):
    """Each of the three turns alone: what the others would turn by is set to zero."""
    names = [(0, 1), (0, 2), (1, 2)]  # planes of x, y, z in the order in which the angles are drawn
    drawn = iter([1.0, *(1.0 if plane == axes else 0.5 for plane in names), 0.5, *[1.0] * 10])
    monkeypatch.setattr(augmentation, "_random", lambda count, generator: torch.full((count,), next(drawn)))
    shape = (18, 24, 30)
    image = torch.from_numpy(rng.normal(size=shape)).float()
    turned = augment(replace(batch_of(ball(shape), 1), image=image.view(1, 1, *shape)),
                     replace(STILL, share=2.0, degrees=25.0), gen())  # fmt: skip
    angle = math.radians(25.0)
    matrix = np.eye(3)
    first, second = (2 - axis for axis in axes)  # x, y, z -> array axis
    matrix[first, first] = matrix[second, second] = math.cos(angle)
    matrix[first, second], matrix[second, first] = -math.sin(angle), math.sin(angle)
    middle = (np.array(shape) - 1) / 2
    expected = affine_transform(image.numpy(), matrix, middle - matrix @ middle, order=1, mode="nearest")
    inside = ~turned.ignore[0].numpy()
    assert 0.6 < inside.mean() < 0.99
    np.testing.assert_allclose(turned.image[0, 0].numpy()[inside], expected[inside], atol=1e-3)


@pytest.mark.parametrize("shape", SHAPES)
def test_scale_is_a_factor_per_axis(shape, strongest):
    mask = ball(shape, 8)
    scaled = augment(batch_of(mask, 1), replace(STILL, share=2.0, scale=1.25), gen()).label.sum()
    factor = (scaled / mask.sum()).item() ** (1 / len(shape))
    assert max(factor, 1 / factor) == pytest.approx(1.25, rel=0.03)


@pytest.mark.parametrize("shape", SHAPES)
def test_what_comes_from_outside_is_ignored(shape):
    everywhere = torch.ones(shape, dtype=torch.bool)
    moved = augment(batch_of(everywhere), MOVING, gen())
    outside = moved.label[:, 0] == 0
    assert outside.any()
    assert moved.ignore[outside].all()
    edge = moved.ignore & ~outside  # less than half a voxel beyond the border
    assert edge.float().mean() < 0.08
    assert not moved.ignore[:, shape[0] // 2].flatten(1).all(dim=1).any()
    assert (moved.image - 1).abs().max() < 1e-5  # the border is repeated, so that no edge appears


def test_what_was_ignored_moves_along():
    shape = (40, 64)
    batch = batch_of(ball(shape))
    batch = replace(batch, ignore=batch.label[:, 0].bool())
    moved = augment(batch, MOVING, gen())
    assert moved.ignore[moved.label[:, 0].bool()].all()
    inner = moved.ignore[:, 12:-12, 20:-20]
    assert torch.equal(inner, moved.label[:, 0, 12:-12, 20:-20].bool())


def test_about_a_share_of_the_items_moves():
    batch = batch_of(torch.roll(ball((24, 24), 5), 3, 0), 8)
    settings = replace(MOVING, share=0.5)
    moved = [augment(batch, settings, gen(seed)).label.ne(batch.label).flatten(1).any(dim=1) for seed in range(40)]
    assert 0.42 < torch.cat(moved).float().mean() < 0.58


def test_mirrored_image_and_mask_agree():
    mask = torch.zeros(6, 9, dtype=torch.bool)
    mask[1, 2] = True
    seen = set()
    for seed in range(20):
        mirrored = augment(batch_of(mask, 1), replace(STILL, mirror=(0,)), gen(seed))
        assert torch.equal(mirrored.image[0, 0].bool(), mirrored.label[0, 0].bool())
        seen.add(tuple(mirrored.label[0, 0].nonzero()[0].tolist()))
    assert seen == {(1, 2), (1, 6)}


@pytest.mark.parametrize(
    ("change", "measure"),
    [
        ({"brightness": 0.5}, lambda after, before: (after - before).flatten(1).std(dim=1).max() < 1e-5),
        ({"contrast": 0.5}, lambda after, before: (after / before).flatten(1).std(dim=1).max() < 1e-5),
        ({"noise": 0.5}, lambda after, before: (after - before).flatten(1).mean(dim=1).abs().max() < 0.05),
    ],
)
def test_intensities_change_per_item_and_labels_do_not(change, measure):
    batch = batch_of(ball((40, 64)))
    batch = replace(batch, image=batch.image + 1)
    changed = augment(batch, replace(STILL, **change), gen())
    assert measure(changed.image, batch.image)
    assert len(changed.image.flatten(1).mean(dim=1).unique()) == 4
    assert torch.equal(changed.label, batch.label)
    assert not changed.ignore.any()


def test_the_generator_alone_decides_and_the_batch_is_left_alone():
    batch = batch_of(ball((24, 32)))
    before = batch.image.clone()
    results = []
    for seed, noise in ((3, 0), (3, 7), (4, 0)):
        torch.manual_seed(noise)
        results.append(augment(batch, Augmentation(), gen(seed)).image)
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])
    assert torch.equal(batch.image, before)


def test_what_was_looked_for_stays():
    batch = replace(batch_of(ball((24, 32))), looked_for=torch.tensor([[True], [False], [True], [False]]))
    assert torch.equal(augment(batch, Augmentation(share=1.0), gen()).looked_for, batch.looked_for)
