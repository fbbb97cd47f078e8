"""Cases are set aside by patient, from four cases on, by the seed."""

from pathlib import Path

import pytest

from IncrementalSegLib.engine.step.split import split
from IncrementalSegLib.errors import DataError
from IncrementalSegLib.sampling.cases import Case
from IncrementalSegLib.store.manifest import fingerprint


def cases(patients):
    return [
        Case(f"case{number:02d}", name, (Path(f"{number}.nii"),), frozenset({"A"}))
        for number, name in enumerate(patients)
    ]


@pytest.mark.parametrize(
    ("count", "aside"), [(0, 0), (1, 0), (2, 0), (3, 0), (4, 1), (5, 1), (7, 1), (8, 2), (10, 2), (25, 5), (100, 20)]
)
def test_number_set_aside(count, aside):
    training, held = split(cases([f"p{number}" for number in range(count)]), 0)
    assert (len(training), len(held)) == (count - aside, aside)


@pytest.mark.parametrize("seed", range(10))
def test_a_patient_is_never_on_both_sides(seed):
    everyone = cases([f"p{number // 3}" for number in range(30)])
    training, held = split(everyone, seed)
    assert {case.patient for case in training}.isdisjoint(case.patient for case in held)
    assert len({case.patient for case in held}) == 2
    assert sorted([*training, *held], key=lambda case: case.id) == everyone
    for side in (training, held):
        assert [case.id for case in side] == sorted(case.id for case in side)


def test_cases_of_one_patient_cannot_be_split():
    assert split(cases(["p"] * 6), 0) == (cases(["p"] * 6), [])


def test_the_seed_decides_and_the_order_of_cases_does_not():
    everyone = cases([f"p{number}" for number in range(20)])
    assert split(everyone, 3) == split(everyone[::-1], 3)
    assert len({tuple(case.id for case in split(everyone, seed)[1]) for seed in range(10)}) > 5


@pytest.fixture
def scans(tmp_path):
    """Ten cases on the disk, each with its own content."""
    found = []
    for number in range(10):
        path = tmp_path / f"{number}.nii"
        path.write_bytes(bytes([number]))
        found.append(Case(f"case{number}", f"p{number}", (path,), frozenset({"A"})))
    return found


@pytest.mark.parametrize("seed", range(5))
def test_what_judges_never_trains_and_what_trained_never_judges(scans, seed):
    training, held = split(scans, 0)
    trained, aside = ({fingerprint(case.images) for case in side} for side in (training, held))
    assert split(scans, seed, trained, aside) == (training, held)
    more, judges = split([*held, *training[:4]], seed, {fingerprint(training[0].images)}, aside)
    assert training[0] in more
    assert all(case in judges for case in held)


def test_new_patients_are_drawn_beside_old_ones(scans):
    trained = {fingerprint(case.images) for case in scans[:5]}
    drawn = {case.id for seed in range(20) for case in split(scans, seed, trained)[1]}
    assert drawn == {f"case{number}" for number in range(5, 10)}


def test_cases_that_only_judge_cannot_train(scans):
    with pytest.raises(DataError, match="set aside for validation by earlier steps"):
        split(scans[:2], 0, (), {fingerprint(case.images) for case in scans[:2]})
