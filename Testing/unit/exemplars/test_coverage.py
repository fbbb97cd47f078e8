from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from IncrementalSegLib.exemplars.coverage import centred, cosine_similarity, cover_by_distance, cover_by_similarity


def worth(similarity, rows):
    return float(np.maximum(similarity[list(rows)], 0).max(axis=0).sum()) if len(rows) else 0.0


def plain_greedy(similarity, keep, pinned=(), banned=()):
    """Pick in plain loops, comparing whole objective values."""
    chosen = list(dict.fromkeys(pinned))
    while len(chosen) < keep:
        left = [row for row in range(len(similarity)) if row not in chosen and row not in banned]
        if not left:
            break
        chosen.append(max(left, key=lambda row: (worth(similarity, [*chosen, row]), -row)))
    return chosen


def matrix(seed, rows, items):
    """Return similarities in eighths, so that sums are exact and ties real."""
    return np.random.default_rng(seed).integers(0, 9, (rows, items)) / 8


@given(st.integers(0, 10**6), st.integers(1, 8), st.integers(1, 12), st.integers(1, 8))
def test_at_least_63_percent_of_brute_force(seed, rows, items, keep):
    similarity = matrix(seed, rows, items)
    keep = min(keep, rows)
    coverage = cover_by_similarity(similarity, keep)
    best = max(worth(similarity, chosen) for chosen in combinations(range(rows), keep))
    assert coverage.covered[-1] * items >= (1 - 1 / np.e) * best - 1e-9


@given(st.integers(0, 10**6), st.integers(1, 10), st.integers(1, 12), st.integers(1, 12), st.data())
def test_equals_plain_loops_with_pins_bans_and_ties(seed, rows, items, keep, data):
    similarity = matrix(seed, rows, items)
    marks = data.draw(st.lists(st.sampled_from("pb-"), min_size=rows, max_size=rows))
    pinned = [row for row in reversed(range(rows)) if marks[row] == "p"]
    banned = [row for row in range(rows) if marks[row] == "b"]
    coverage = cover_by_similarity(similarity, keep, pinned, banned)
    wanted = plain_greedy(similarity, max(keep, len(pinned)), pinned, banned)
    assert list(coverage.order) == wanted
    assert coverage.covered == pytest.approx([worth(similarity, wanted[: n + 1]) / items for n in range(len(wanted))])
    assert np.cumsum(coverage.gains).tolist() == pytest.approx(list(coverage.covered))


@given(st.integers(0, 10**6), st.integers(1, 8), st.integers(1, 12), st.integers(1, 8))
def test_the_distance_form_minimises_the_sum_of_nearest_distances(seed, rows, items, keep):
    distance = matrix(seed, rows, items) * 8
    chosen = []
    for _ in range(min(keep, rows)):
        left = [row for row in range(rows) if row not in chosen]
        chosen.append(min(left, key=lambda row: (distance[[*chosen, row]].min(axis=0).sum(), row)))
    order = list(cover_by_distance(distance, keep).order)
    sums = [distance[part].min(axis=0).sum() for part in (order, chosen)]
    assert sums[0] == pytest.approx(sums[1])
    largest = distance.max() or 1
    assert cover_by_distance(distance, keep).covered[-1] == pytest.approx(1 - sums[0] / items / largest)


def test_by_hand():
    similarity = np.array([[1.0, 0.0, 0.0, 0.5], [0.0, 1.0, 1.0, 0.0], [0.9, 0.9, 0.0, 0.0]])
    coverage = cover_by_similarity(similarity, 2)
    assert coverage.order == (1, 0)
    assert coverage.gains == pytest.approx((0.5, 0.375))


def test_ties_go_to_the_lowest_row():
    assert cover_by_similarity(np.ones((4, 3)), 3).order == (0, 1, 2)
    assert cover_by_distance(np.zeros((3, 3)), 2).order == (0, 1)


def test_nothing_to_choose_from():
    assert cover_by_similarity(np.zeros((0, 5)), 3).order == ()
    assert cover_by_similarity(np.ones((2, 5)), 3, banned=(0, 1)).order == ()


def test_pinned_and_banned_is_a_contradiction():
    with pytest.raises(ValueError, match="pinned and banned"):
        cover_by_similarity(np.ones((2, 2)), 1, pinned=[1], banned=[1])


def test_a_zero_descriptor_has_no_nan():
    cosines = cosine_similarity(np.array([[0.0, 0.0], [3.0, 4.0], [4.0, 3.0]]), [0, 1])
    np.testing.assert_allclose(cosines, [[0, 0, 0], [0, 1, 0.96]])


def test_centred_descriptors_differ_by_what_they_do_not_share():
    shared, own = np.full((1, 4), 100.0), np.eye(4)
    raw, apart = (cosine_similarity(found, range(4)) for found in (shared + own, centred(shared + own)))
    assert raw.min() > 0.999
    np.testing.assert_allclose(apart, (4 * np.eye(4) - 1) / 3)


def test_descriptors_that_are_all_alike_stay_alike():
    for count in (1, 5):
        alike = np.tile(np.array([0.1, 0.7, 0.3], dtype=np.float32), (count, 1))
        np.testing.assert_allclose(cosine_similarity(centred(alike), range(count)), 1)
