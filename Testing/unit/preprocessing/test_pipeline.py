from dataclasses import replace

import numpy as np
import pytest
import torch
from scans import ORDERS, ball, middle, stored
from scipy.spatial.transform import Rotation

from IncrementalSegLib.networks.decision import decide
from IncrementalSegLib.preprocessing import geometry
from IncrementalSegLib.preprocessing.pipeline import Record, forward, forward_mask, inverse
from IncrementalSegLib.preprocessing.plan import Plan
from IncrementalSegLib.preprocessing.rules import Sampled
from IncrementalSegLib.volumes.volume import Grid, Volume

GRID = Grid((9, 14, 11), (1.1, 0.8, 2.3), (12.0, -7.0, 31.0))
OBLIQUE = tuple(Rotation.from_euler("xyz", (8, -12, 5), degrees=True).as_matrix().ravel())


def plan(code="SPL", spacing=(2.0, 1.0, 1.5), channels=1, planar=False):
    return Plan(
        dimension=2 if spacing[0] is None else 3,
        planar=planar,
        channels=channels,
        orientation=code,
        spacing=spacing,
        patch=(8, 8, 8),
        multiple=8,
        shape=(8, 8, 8),
    )


@pytest.fixture
def scan(rng):
    return Volume(rng.normal(50, 20, (1, *GRID.shape)).astype(np.float32), GRID)


@pytest.mark.parametrize("code", ["SPL", "LIP", "PIL"])
@pytest.mark.parametrize("direction", [GRID.direction, OBLIQUE], ids=["straight", "oblique"])
@pytest.mark.parametrize("spacing", [(None, 1.0, 1.5), (2.0, 1.0, 1.5)], ids=["2-D", "3-D"])
def test_all_orders_of_the_same_samples_give_the_same_tensor(scan, code, direction, spacing):
    grid = replace(GRID, direction=direction)
    mask = ball(grid, middle(grid), 4).astype(np.uint8)
    settings = plan(code, spacing)
    expected, _, _ = forward(Volume(scan.array, grid), settings)
    expected_mask = forward_mask(mask, Volume(scan.array, grid), settings)
    assert expected_mask.any()
    for axes, flips in ORDERS:
        array, other = stored(scan.array[0], grid, axes, flips)
        volume = Volume(array[np.newaxis], other)
        image, ignore, record = forward(volume, settings)
        assert ignore is None
        assert torch.equal(image, expected), (axes, flips)
        assert torch.equal(forward_mask(stored(mask, grid, axes, flips)[0], volume, settings), expected_mask)
        assert tuple(inverse(image.float(), record).shape[1:]) == other.shape


@pytest.mark.parametrize("angles", [(3, 0, 0), (0, -20, 0), (10, 8, -12), (-5, 15, 25)])
def test_a_slightly_turned_header_changes_nothing(scan, angles):
    turned = tuple(Rotation.from_euler("xyz", angles, degrees=True).as_matrix().ravel())
    expected, _, _ = forward(scan, plan())
    assert torch.equal(forward(Volume(scan.array, replace(GRID, direction=turned)), plan())[0], expected)


def test_sizes_follow_the_spacing(scan):
    image, _, _ = forward(scan, plan(spacing=(None, 1.0, 1.5)))
    assert image.shape == (1, 9, round(14 * 0.8 / 1.0), round(11 * 1.1 / 1.5))
    assert forward(scan, plan("LIP", (1.1, 2.3, 0.8)))[0].shape == (1, 11, 9, 14)
    assert image.dtype == torch.float16


def test_what_is_not_finite_is_ignored(scan):
    spoiled = scan.array.copy()
    spoiled[0, :3] = np.nan
    spoiled[0, 5, 5, 5] = np.inf
    # Where nothing is resampled, the valid voxels are normalised as if the others did not exist.
    settings = plan(spacing=(2.3, 0.8, 1.1))
    image, ignore, _ = forward(Volume(spoiled, GRID), settings)
    assert image.isfinite().all()
    assert np.array_equal(ignore.numpy(), ~np.isfinite(spoiled[0]))
    valid = spoiled[0][np.isfinite(spoiled[0])]
    assert image[0][~ignore].float().mean().abs() < 2e-3
    clipped = np.clip(valid, *np.percentile(valid, (0.5, 99.5)))
    expected = (clipped - clipped.mean()) / clipped.std()
    np.testing.assert_allclose(image[0][~ignore].float().numpy(), expected, atol=5e-3)


def test_resampled_voxels_that_touch_an_invalid_one_are_ignored(scan):
    spoiled = scan.array.copy()
    spoiled[0, 4, 7, 5] = np.nan
    image, ignore, _ = forward(Volume(spoiled, GRID), plan(spacing=(None, 0.4, 0.55)))
    assert image.isfinite().all()
    assert ignore[4, 14:16, 10:12].all()  # the four samples that the voxel became
    assert not ignore[3].any()
    assert 4 <= ignore.sum() <= 16


def test_extreme_values_fit_float16():
    array = np.zeros((1, 20, 64, 64), dtype=np.float32)
    array[0, 10, 30, 30] = 3e38
    image, _, _ = forward(Volume(array, Grid((20, 64, 64))), plan(spacing=(None, 1.0, 1.0)))
    assert image.isfinite().all()


@pytest.mark.parametrize("factor", [1.3, 2.0, 3.0])
@pytest.mark.parametrize("offset", range(10, 14))
def test_a_structure_of_one_voxel_width_survives_coarser_voxels(factor, offset):
    grid = Grid((16, 36, 36))
    volume = Volume(np.zeros((1, *grid.shape), np.float32), grid)
    vessel = np.zeros(grid.shape, np.bool_)
    vessel[4:12, 5:30, offset] = True
    small = forward_mask(vessel, volume, plan(spacing=(1.0, factor, factor)))
    assert small.any()
    rows = small[5:11].any(dim=2)
    inner = rows[:, round(8 / factor) : round(27 / factor)]
    assert inner.all()  # it is not torn


def test_masks_keep_their_volume_and_stay_empty_or_full():
    grid = Grid((24, 48, 48))
    volume = Volume(np.zeros((1, *grid.shape), np.float32), grid)
    settings = plan(spacing=(1.0, 2.0, 2.0))
    blob = ball(grid, middle(grid), 9)
    assert forward_mask(blob, volume, settings).sum() * 4 == pytest.approx(blob.sum(), rel=0.05)
    assert not forward_mask(np.zeros_like(blob), volume, settings).any()
    assert forward_mask(np.ones_like(blob), volume, settings).all()


def test_pictures_are_resized_without_turning(rng):
    grid = Grid((1, 20, 30), planar=True, direction=(-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0))
    picture = Volume(rng.integers(0, 255, (3, 1, 20, 30)).astype(np.uint8), grid)
    image, _, record = forward(picture, plan(spacing=(None, 1.0, 1.0), channels=3, planar=True))
    assert image.shape == (3, 1, 20, 30)
    assert record.flips == ()
    low = np.unravel_index(picture.array[0].argmin(), picture.array[0].shape)
    assert image[0][low] == image[0].min()


def test_padding_that_the_file_declares_is_air(rng):
    array = rng.integers(100, 900, (1, *GRID.shape)).astype(np.int16)
    hidden = np.zeros(GRID.shape, dtype=np.bool_)
    hidden[2:5, 4:8, 3:7] = True
    array[:, hidden] = 2000
    image, _, _ = forward(Volume(array, GRID, padding=(2000,)), plan())
    other, _, _ = forward(Volume(np.where(hidden, np.nan, array.astype(np.float32)), GRID), plan())
    torch.testing.assert_close(image, other)


@pytest.mark.parametrize("exclusive", [True, False])
@pytest.mark.parametrize("orders", [(None, None, None), (1, 1, 1), (Sampled(0.4), Sampled(0.4), Sampled(0.4))])
@pytest.mark.parametrize("own", [(30, 25, 20), (6, 25, 30)])
def test_rows_between_rows_of_nothing_are_not_resampled(monkeypatch, rng, exclusive, orders, own):
    monkeypatch.setattr(geometry, "_SLAB", 1)  # a row each
    maps = torch.from_numpy(rng.dirichlet(np.ones(4), (12, 10, 8)).astype(np.float32)).permute(3, 0, 1, 2)[:3].clone()
    maps[:, [1, 2, 3, 4, 8, 9, 10]] *= 0.2  # the background is more
    record, rows = Record((0, 1, 2), (), own, orders=orders), []

    def finish(slab):
        rows.append(slab.shape[2:] == own[1:])
        return decide(slab, [exclusive] * 3)

    expected = inverse(maps, record, finish)
    everywhere = sum(rows)
    rows.clear()
    assert np.array_equal(inverse(maps, record, finish, decides=True), expected)
    assert expected.any()
    assert everywhere == own[0]
    assert sum(rows) < everywhere or own[0] == 6


def test_splines_that_overshoot_are_resampled_everywhere():
    assert not Record((0, 1, 2), (), (6, 6, 6), orders=(3, 3, 3)).averages
    maps = torch.full((1, 6, 4, 4), 0.49)
    maps[:, 2] = 0.1  # a spline overshoots beside it
    record = Record((0, 1, 2), (), (24, 4, 4), orders=(3, 3, 3))
    found = inverse(maps, record, lambda slab: decide(slab, [False]), decides=True)
    assert found.any()
