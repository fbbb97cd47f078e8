"""Uncertain spots: connected, bounded, ranked by size times uncertainty."""

import numpy as np
import pytest

from IncrementalSegLib.correction.spots import find_spots


def blank(shape=(8, 64, 64)):
    return np.zeros(shape, np.float32)


def test_a_certain_scan_has_no_spots():
    assert find_spots(blank() + 0.49, (1, 1, 1), 16) == []


def test_the_rank_is_size_times_mean_uncertainty():
    maps = blank()
    maps[2, 5:7, 5:8] = 0.9  # 6 voxels: 5.4
    maps[2, 40:42, 40:44] = 0.6  # 8 voxels: 4.8
    maps[6, 60, 60] = 1.0
    large, wide, single = find_spots(maps, (1, 1, 1), 16)
    assert [spot.voxels for spot in (large, wide, single)] == [6, 8, 1]
    assert large.uncertainty == pytest.approx(0.9)
    assert single.centre == (6, 60, 60)
    assert [spot.centre for spot in find_spots(maps, (1, 1, 1), 1)] == [large.centre]


def test_the_centre_lies_in_the_spot_even_of_a_ring():
    maps = blank((1, 64, 64))
    maps[0, 30:33, 30:33] = 0.8
    maps[0, 31, 31] = 0.0
    (spot,) = find_spots(maps, (1, 1, 1), 16)
    assert spot.voxels == 8
    assert maps[spot.centre] > 0


def test_a_rim_becomes_several_spots_that_share_no_voxel_and_miss_none():
    maps = blank((1, 64, 64))
    row, column = np.ogrid[:64, :64]
    maps[0][np.abs(np.hypot(row - 32, column - 32) - 20) < 1] = 0.7
    spots = find_spots(maps, (1, 1, 1), 100)
    covered = np.zeros(maps.shape, int)
    for spot in spots:
        covered[spot.box] += spot.mask
        assert max(spot.mask.shape) <= 2 * 64 / 16 + 1
    assert len(spots) > 8
    assert np.array_equal(covered, (maps > 0).astype(int))


def test_millimetres_bound_a_spot():
    maps = blank((16, 64, 64))
    maps[:, 32, 32] = 0.7
    counts = [find_spots(maps, (thickness, 1, 1), 1)[0].voxels for thickness in (1, 4)]
    assert counts == [9, 3]  # a sixteenth of 64 mm to either side


def test_a_mean_is_taken_inside_the_spot_only(rng):
    maps, values = blank(), rng.random((8, 64, 64))
    maps[3, 10:12, 10:12] = 0.8
    maps[3, 11, 11] = 0.0
    (spot,) = find_spots(maps, (1, 1, 1), 4)
    assert spot.mean(values) == pytest.approx(values[3, [10, 10, 11], [10, 11, 10]].mean())
