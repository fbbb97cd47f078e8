import numpy as np
import pytest

from IncrementalSegLib.inference.postprocess import largest_component


def flood(mask: np.ndarray) -> list[set[tuple[int, ...]]]:
    """Return the components of a mask by a plain search over the 26 neighbours."""
    left, found = {tuple(map(int, place)) for place in np.argwhere(mask)}, []
    while left:
        component, edge = set(), [left.pop()]
        while edge:
            place = edge.pop()
            component.add(place)
            near = {other for other in left if max(abs(a - b) for a, b in zip(place, other, strict=True)) == 1}
            left -= near
            edge += near
        found.append(component)
    return found


@pytest.mark.parametrize("seed", range(6))
def test_the_largest_component_equals_a_plain_search(seed):
    mask = np.random.default_rng(seed).random((6, 7, 8)) < 0.06
    sizes = sorted(len(component) for component in flood(mask))
    kept = largest_component(mask)
    assert kept.sum() == sizes[-1]
    assert not (kept & ~mask).any()
    assert len(flood(kept)) == 1


def test_corners_connect():
    mask = np.zeros((3, 3, 3), np.bool_)
    mask[0, 0, 0] = mask[1, 1, 1] = mask[2, 2, 2] = True
    assert np.array_equal(largest_component(mask), mask)


def test_an_empty_mask_stays_empty():
    assert not largest_component(np.zeros((2, 3, 4), np.bool_)).any()
