import numpy as np
import pytest

from IncrementalSegLib.evaluation.spread import Shape

COUNT = 20


@pytest.mark.parametrize("deviation", [0.1, 1.0, 4.0])
@pytest.mark.parametrize("scans", [3, 5, 10, 30])
def test_the_limit_fits_how_alike_the_scans_are_and_how_many(rng, deviation, scans):
    """Few further scans of a kind lie beyond it, and none far within it."""
    mixing = rng.normal(size=(COUNT, COUNT)) / np.sqrt(COUNT)  # numbers of a scan depend on each other
    distances = []
    for _ in range(20):
        rows = 7 + deviation * rng.normal(size=(scans + 30, COUNT)) @ mixing
        shape = Shape.of(rows[:scans])
        distances += [shape.distance(row) for row in rows[scans:]]
    assert np.mean(np.array(distances) > 1) < 0.05
    assert 0.3 < np.median(distances) < 0.9


def test_another_kind_is_seen_where_its_numbers_go_together_otherwise(rng):
    """Each number by itself is as usual: only the covariance tells."""
    first = rng.normal(size=(20, 1)) * 3
    rows = np.repeat(first, COUNT, axis=1) + 0.1 * rng.normal(size=(20, COUNT))
    shape = Shape.of(rows)
    assert shape.distance(np.full(COUNT, 3.0)) < 1
    assert shape.distance(np.where(np.arange(COUNT) % 2, 3.0, -3.0)) > 3


def test_one_scan_has_the_widest_limit(rng):
    rows = rng.normal(size=(10, COUNT))
    other = rows.mean(axis=0) + 4
    assert Shape.of(rows[:1]).distance(other) < Shape.of(rows).distance(other)


def test_a_shape_comes_back_from_json(rng):
    shape = Shape.of(rng.normal(size=(6, 4)))
    again = Shape.from_json(shape.to_json())
    assert again.distance(np.arange(4.0)) == pytest.approx(shape.distance(np.arange(4.0)), rel=1e-3)
