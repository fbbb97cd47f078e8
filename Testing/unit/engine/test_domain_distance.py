import json

import numpy as np
import pytest
import torch

from IncrementalSegLib.engine.domain import measure
from IncrementalSegLib.evaluation.domain import Domain, word
from IncrementalSegLib.preprocessing.intensity import Normaliser
from IncrementalSegLib.sampling.phantom import phantom_case

SIZE = (8, 48, 48)


def look(array, spacing=(4.0, 2.0, 2.0)):
    image = Normaliser(array)().half()
    extent = [step * size for step, size in zip(spacing, array.shape[1:], strict=True)]
    return measure(image, array, spacing, extent, (1, 2))


def scans(scanner, count, first=0):
    return [phantom_case((7, first + number), scanner, SIZE)[0].array for number in range(count)]


@pytest.fixture(scope="module")
def people():
    """Scans of scanner A: eight that teach, twelve that do not."""
    arrays = scans("A", 20)
    return arrays[:8], arrays[8:]


@pytest.fixture(scope="module")
def domain(people):
    return Domain.of([look(array) for array in people[0]])


def test_other_people_on_the_same_scanner_are_not_far(domain, people):
    distances = [domain.distance(look(array)).largest for array in people[1]]
    assert np.median(distances) < 1
    assert sum(word(value) == "unlike" for value in distances) <= 1


@pytest.mark.parametrize(
    ("change", "number"),
    [
        (lambda array: array.max() - array, "contrast"),
        (lambda array: np.flip(array, -1), "layout"),
        (lambda array: array + np.random.default_rng(0).normal(0, 300, array.shape), "texture"),
    ],
)
def test_a_changed_scan_is_far_in_what_was_changed(domain, people, change, number):
    values = [getattr(domain.distance(look(change(array))), number) for array in people[1]]
    assert word(float(np.median(values))) == "unlike"


def test_another_weighting_is_far_and_its_scale_alone_is_not(domain, people):
    assert np.median([domain.distance(look(array)).features for array in scans("C", 6, 30)]) > 1.5
    louder = domain.distance(look(people[1][0].astype(np.float32) * 50))
    assert word(louder.intensity) == "unlike"
    assert louder.largest == pytest.approx(domain.distance(look(people[1][0])).largest, rel=0.01)


def test_spacing_and_extent_are_compared_with_the_range_of_those_that_taught(people):
    array = people[0][0]
    domain = Domain.of([look(array, (4.0, 2.0, 2.0)), look(array, (5.0, 2.0, 2.0))])
    assert domain.distance(look(array, (4.5, 2.0, 2.0))).spacing == 0
    few = 1 + 1 / 2  # two scans
    assert domain.distance(look(array, (5.0, 2.5, 2.0))).spacing == pytest.approx(1 / few)
    assert domain.distance(look(array, (5.0, 2.0, 1.6))).spacing == pytest.approx(1 / few)
    assert domain.distance(look(array, (5.0, 2.0, 4.0))).extent == pytest.approx(np.log(2) / np.log(1.5) / few)


def test_the_limit_follows_from_how_alike_the_training_scans_are(people):
    alike = [look(array) for array in people[0]]
    unlike = [look(array) for array in (*people[0][:4], *scans("C", 4, 50))]
    other = look(scans("C", 1, 60)[0])
    assert Domain.of(alike).distance(other).features > 1 > Domain.of(unlike).distance(other).features


def test_alarms_on_the_same_kind_are_rare_and_on_another_weighting_frequent(people):
    own, other = [look(array) for half in people for array in half], [look(array) for array in scans("C", 6, 80)]
    random, far = np.random.default_rng(0), []
    for _ in range(4):
        order = random.permutation(len(own))
        domain = Domain.of([own[row] for row in order[:10]])
        far += [domain.distance(own[row]).largest > 1 for row in order[10:]]
        assert all(domain.distance(scan).largest > 1 for scan in other)
    assert np.mean(far) <= 0.05


def test_a_network_of_slices_looks_at_nothing_across_them(people):
    def look_at_slices(array):
        return measure(Normaliser(array)().half(), array, (2.0, 2.0), (96.0, 96.0), (1, 2))

    domain = Domain.of([look_at_slices(array) for array in people[0]])
    assert all(word(domain.distance(look_at_slices(array[:, ::2])).largest) == "similar" for array in people[0])


def test_a_covariance_of_another_size_is_refused(domain):
    data = domain.to_json()
    data["shape"]["mean"] = [0.0] * 100_000
    with pytest.raises(ValueError, match="differ in size"):
        Domain.from_json(data)


def test_few_scans_widen_what_counts_as_near(people):
    one, many = (Domain.of([look(array) for array in people[0][:count]]) for count in (1, 8))
    scan = look(np.flip(people[1][0], -1))
    assert one.distance(scan).layout < many.distance(scan).layout


def test_a_domain_holds_aggregates_and_comes_back_from_json(domain, people):
    text = json.dumps(domain.to_json(), allow_nan=False)
    assert len(text) < 8000
    again = Domain.from_json(json.loads(text))
    assert vars(again.distance(look(people[1][0]))) == pytest.approx(
        vars(domain.distance(look(people[1][0]))), rel=1e-3
    )


@pytest.mark.parametrize("shape", [(1, 1, 16, 16), (3, 1, 16, 16), (1, 3, 5, 4)])
def test_small_constant_and_broken_scans_have_numbers(shape):
    array = np.zeros(shape, np.float32)
    array[0, 0, 0, 0] = np.nan
    image = torch.zeros(shape, dtype=torch.float16)
    found = measure(image, array, (1.0, 1.0, 1.0), [float(size) for size in shape[1:]])
    distance = Domain.of([found]).distance(found)
    assert max(vars(distance).values()) == 0
    assert np.isfinite(np.concatenate(list(found.looks.values()))).all()


def test_words():
    assert [word(value) for value in (0.0, 1.0, 1.01, 1.5, 1.51)] == [
        "similar",
        "similar",
        "somewhat unlike",
        "somewhat unlike",
        "unlike",
    ]


def test_declared_padding_is_left_out_of_the_intensities(rng):
    array = rng.integers(100, 900, (2, *SIZE)).astype(np.float32)
    padded, holes = array.copy(), array.copy()
    padded[1, :, :20], holes[1, :, :20] = 5000, np.nan
    image = torch.zeros(2, *SIZE)
    found, expected = (
        measure(image, raw, (1.0, 1.0), (48.0, 48.0), (1, 2), padding)
        for raw, padding in ((padded, (None, 5000.0)), (holes, ()))
    )
    np.testing.assert_array_equal(found.intensity, expected.intensity)
