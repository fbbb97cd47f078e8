"""Scans of a protocol: no patient both teaches and measures, and every stage sees its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from organs import ORGANS, protocol, write_organs

from IncrementalSegLib.errors import DataError
from IncrementalSegLib.sampling.reading import read_case
from Testing.benchmarks.paper import find_paper
from Testing.benchmarks.protocol import Protocol
from Testing.benchmarks.protocols import ozdemir2018
from Testing.benchmarks.scans import Scans, scans_for


def ids(scans: Scans, number: int) -> set[str]:
    return {case.id for case in scans.of_stage(number).cases}


def opened(stages: Protocol, data: Path, seed: int = 0) -> Scans:
    return scans_for(stages, seed, data / ".data", data)


def test_a_stage_sees_the_scans_with_one_of_its_structures(tmp_path: Path) -> None:
    whole = opened(protocol("4-2"), write_organs(tmp_path / "a"))
    rare, bare = (int(case.id[1:]) for case in whole.teaching[0].cases[:2])
    without = ((rare, "esophagus"), (bare, "esophagus"), (bare, "pancreas"))
    scans = opened(protocol("4-2"), write_organs(tmp_path / "b", without=without))
    assert ORGANS[4:6] == ("esophagus", "pancreas")
    everyone = {case.id for case in scans.teaching[0].cases}
    assert ids(scans, 0) == ids(scans, 2) == everyone
    assert ids(scans, 1) == everyone - {f"c{bare}"}
    assert {case.id for case in scans.everything().cases} == everyone


def test_disjoint_parts_are_dealt_by_the_seed(tmp_path: Path) -> None:
    data, dealt = write_organs(tmp_path / "a", cases=12), set()
    for seed in range(4):
        scans = opened(protocol("4-2-disjoint"), data, seed)
        parts = [ids(scans, number) for number in range(3)]
        assert [len(part) for part in parts] == [4, 3, 3]
        assert len(set.union(*parts)) == 10
        assert set.union(*parts).isdisjoint(scans.test)
        dealt.add(frozenset(parts[0]))
    assert len(dealt) > 1


def test_middle_slices_stay_where_they_are_in_the_patient(tmp_path: Path) -> None:
    base, data = protocol("4-2"), write_organs(tmp_path / "a")
    whole, flat = opened(base, data), opened(replace(base, data=replace(base.data, slices=True)), data)
    assert flat.test == whole.test
    for volume, plane in zip(whole.teaching[0].cases, flat.teaching[0].cases, strict=True):
        (image, masks), (middle, outlines) = read_case(volume), read_case(plane)
        axis = image.array.shape[1:].index(min(image.array.shape[1:]))
        place = image.array.shape[1 + axis] // 2
        np.testing.assert_array_equal(middle.array, image.array.take([place], 1 + axis))
        assert middle.grid.origin == pytest.approx(image.grid.position(np.eye(3)[axis] * place))
        for name, mask in outlines.items():
            np.testing.assert_array_equal(mask, masks[name].take([place], axis))
    assert "slices" not in base.setting()["data"]  # results from before there were slices keep their settings


def test_fewer_volumes_are_a_part_of_more(tmp_path: Path) -> None:
    data = write_organs(tmp_path / "a", cases=12)
    base = protocol("4-4-disjoint")

    def dealt(volumes: int, seed: int) -> Scans:
        first, second = base.stages
        return opened(replace(base, stages=(replace(first, volumes=4), replace(second, volumes=volumes))), data, seed)

    for seed in range(3):
        few, many = dealt(2, seed), dealt(5, seed)
        assert [len(ids(many, number)) for number in (0, 1)] == [4, 5]
        assert ids(few, 0) == ids(many, 0)
        assert ids(few, 1) < ids(many, 1)
        assert few.test == many.test
    with pytest.raises(DataError, match="need 13 training patients; there are 10"):
        dealt(9, 0)


def test_the_test_is_the_same_for_every_protocol_and_never_teaches(tmp_path: Path) -> None:
    data = write_organs(tmp_path / "a")
    found = [opened(protocol(text), data) for text in ("4-4", "4-1", "1-1")]
    assert found[0].test == found[1].test == found[2].test
    assert set(found[0].test).isdisjoint(case.id for case in found[0].teaching[0].cases)
    assert len(found[0].test) == 2


def test_options_are_chosen_without_the_patients_of_the_test(tmp_path: Path) -> None:
    data = write_organs(tmp_path / "a", cases=10)
    test, choice = (opened(protocol(text), data) for text in ("4-4", "4-4-validation"))
    seen = [set(test.test), set(choice.test), {case.id for case in choice.teaching[0].cases}]
    assert [len(side) for side in seen] == [2, 2, 6]
    assert len(set.union(*seen)) == 10


def test_too_few_patients_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="in all"):
        opened(protocol("4-4"), write_organs(tmp_path / "a", cases=2))
    with pytest.raises(DataError, match="need 5 training patients; there are 4"):
        opened(protocol("4-1-disjoint"), write_organs(tmp_path / "b", cases=6))


def test_real_scans_need_a_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="--data"):
        scans_for(protocol("4-4"), 0, tmp_path, None)


def test_phantoms_are_the_same_people_on_both_scanners(tmp_path: Path) -> None:
    same, other = (
        scans_for(replace(found, data=replace(found.data, size=(4, 16, 16))), 1, tmp_path, None)
        for found in map(ozdemir2018.PAPER.find, ("phantom-case1", "phantom-case3"))
    )
    assert same.tests[0] is same.tests[1]
    assert other.tests[0].cases == same.tests[0].cases
    taught = [[scans.cases[0].id for scans in side.teaching] for side in (same, other)]
    assert taught == [[f"shoulder_{name}_000" for name in ("A_1001", second)] for second in ("A_2001", "C_2001")]
    assert other.tests[1].cases[0].id == "shoulder_C_3000_000"


def test_phantoms_that_stages_share(tmp_path: Path) -> None:
    scans = scans_for(find_paper("pcdd2026").find("phantom-3-2"), 0, tmp_path, None)
    assert (len(scans.teaching[0].cases), len(scans.test)) == (8, 5)
    assert {case.id for case in scans.teaching[0].cases}.isdisjoint(scans.test)


@pytest.mark.parametrize("name", ["ozdemir2018", "pcdd2026"])
def test_names_and_numbers_fit_the_real_data(shared_data: Path, tmp_path: Path, name: str) -> None:
    for stages in find_paper(name).protocols:
        if stages.data.folder:
            scans = scans_for(stages, 1, tmp_path, shared_data)
            sides = [{case.patient for case in side.cases} for side in (*scans.teaching, scans.tests[0])]
            assert len(sides[-1]) == stages.data.test_volumes
            assert not any(side & sides[-1] for side in sides[:-1])
            assert {len(side) for side in sides[:-1]} <= {stage.volumes for stage in stages.stages} | {16, 21}
            assert set(stages.structures) <= set(scans.teaching[0].names)
