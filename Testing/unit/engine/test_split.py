"""Cases are set aside by patient, from four cases on, by the seed."""

from pathlib import Path

import pytest

from IncrementalSegLib.engine.split import split
from IncrementalSegLib.sampling.cases import Case


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
