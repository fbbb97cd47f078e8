"""Regions that follow edges, and the graph of their neighbours."""

import numpy as np
import pytest

from IncrementalSegLib.correction import regions as module
from IncrementalSegLib.correction.regions import find_regions, neighbours
from IncrementalSegLib.errors import MissingNeedError


def test_neighbours_are_those_of_a_plain_loop(rng):
    labels = rng.integers(0, 9, size=(3, 5, 4))
    labels.ravel()[:9] = range(9)
    expected = set()
    for place in np.ndindex(labels.shape):
        for axis in range(3):
            beside = tuple(value + (axis == at) for at, value in enumerate(place))
            if beside[axis] < labels.shape[axis] and labels[place] != labels[beside]:
                expected.add(tuple(sorted((int(labels[place]), int(labels[beside])))))
    found = neighbours(labels)
    assert {tuple(pair) for pair in found.tolist()} == expected
    assert len(found) == len(expected)


@pytest.fixture
def halves(rng):
    """An image of two halves with little noise."""
    image = rng.normal(0, 0.02, size=(1, 6, 32, 32)).astype(np.float32)
    image[..., 16:] += 1
    return image


def test_regions_do_not_cross_an_edge_and_differ_across_it(halves):
    pytest.importorskip("skimage")
    found = find_regions(halves, (1.0, 1.0, 1.0), 40)
    assert len(found) == len(np.unique(found.labels))
    assert not set(found.labels[..., :16].ravel()) & set(found.labels[..., 16:].ravel())
    right = found.means(halves)[:, 0] > 0.5
    across = right[found.edges[:, 0]] != right[found.edges[:, 1]]
    assert found.weights[across].max() < 0.01
    assert found.weights[~across].mean() > 0.3


def test_a_region_is_as_large_in_millimetres_along_every_axis(halves):
    pytest.importorskip("skimage")
    found = find_regions(halves, (6.0, 1.0, 1.0), 96).labels
    spans = [len(np.unique(np.argwhere(found == number)[:, 0])) for number in range(found.max() + 1)]
    assert np.mean(spans) < 2  # thick slices are not joined


def test_a_large_image_is_divided_at_a_coarser_step(halves, monkeypatch):
    pytest.importorskip("skimage")
    monkeypatch.setattr(module, "_LARGEST", 1000)
    found = find_regions(halves, (1.0, 1.0, 1.0), 40)
    assert found.labels.shape == halves.shape[1:]
    assert not set(found.labels[..., :14].ravel()) & set(found.labels[..., 18:].ravel())


def test_means_are_those_of_each_region(rng):
    labels = np.array([[[0, 0, 1], [1, 2, 2]]], dtype=np.int32)
    values = rng.random((2, 1, 2, 3))
    found = module.Regions(labels, neighbours(labels), np.ones(3)).means(values)
    assert found[1] == pytest.approx([values[0][labels == 1].mean(), values[1][labels == 1].mean()])


def test_a_missing_library_is_told_with_the_line_that_installs_it(monkeypatch, halves):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(MissingNeedError, match=r"scikit-image is not installed.*incrementalseg\[correct\]"):
        find_regions(halves, (1.0, 1.0, 1.0))
