from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from organs import ORGANS, protocol, write_organs

from IncrementalSegLib.benchmarks.ciss.protocol import Protocol, deal_structures, find_source
from IncrementalSegLib.benchmarks.ciss.scans import Scans, scans_for
from IncrementalSegLib.errors import DataError, OptionError


def ids(scans: Scans, number: int, seed: int = 0) -> set[str]:
    return {case.id for case in scans.of_stage(number, seed).cases}


def test_a_stage_sees_the_scans_with_one_of_its_structures(tmp_path: Path) -> None:
    whole = scans_for(protocol("4-2"), tmp_path, write_organs(tmp_path / "a"))
    rare, bare = (int(case.id[1:]) for case in whole.teaching.cases[:2])
    without = ((rare, "esophagus"), (bare, "esophagus"), (bare, "pancreas"))
    scans = scans_for(protocol("4-2"), tmp_path, write_organs(tmp_path / "b", without=without))
    assert ORGANS[4:6] == ("esophagus", "pancreas")
    everyone = {case.id for case in scans.teaching.cases}
    assert ids(scans, 0) == ids(scans, 2) == everyone
    assert ids(scans, 1) == everyone - {f"c{bare}"}
    assert {case.id for case in scans.with_any(ORGANS).cases} == everyone


def test_disjoint_parts_are_dealt_by_the_seed(tmp_path: Path) -> None:
    scans = scans_for(protocol("4-2", "disjoint"), tmp_path, write_organs(tmp_path / "a", cases=12))
    dealt = set()
    for seed in range(4):
        parts = [ids(scans, number, seed) for number in range(3)]
        assert set.union(*parts) == {case.id for case in scans.teaching.cases}
        assert [len(part) for part in parts] == [4, 3, 3]
        dealt.add(frozenset(parts[0]))
    assert len(dealt) > 1


def test_the_test_is_the_same_for_every_protocol_and_never_teaches(tmp_path: Path) -> None:
    data = write_organs(tmp_path / "a")
    tests = [scans_for(protocol(text), tmp_path, data) for text in ("4-4", "4-1", "1-1")]
    assert tests[0].test == tests[1].test == tests[2].test
    assert {case.id for case in tests[0].test.cases}.isdisjoint(case.id for case in tests[0].teaching.cases)
    assert len(tests[0].test.cases) == 2


def test_options_are_chosen_without_the_patients_of_the_test(tmp_path: Path) -> None:
    data = write_organs(tmp_path / "a", cases=10)
    protocols = [replace(protocol("4-4"), split=split) for split in ("test", "validation")]
    test, choice = (scans_for(item, tmp_path, data) for item in protocols)
    seen = [{case.patient for case in side.cases} for side in (test.test, choice.test, choice.teaching)]
    assert [len(side) for side in seen] == [2, 2, 6]
    assert len(set.union(*seen)) == 10
    assert protocols[1].name == f"{protocols[0].name}-validation"
    with pytest.raises(OptionError, match="split is 'train'"):
        replace(protocol("4-4"), split="train")


def test_too_few_patients_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="in all"):
        scans_for(protocol("4-4"), tmp_path, write_organs(tmp_path / "a", cases=2))
    scans = scans_for(protocol("4-1", "disjoint"), tmp_path, write_organs(tmp_path / "b", cases=6))
    with pytest.raises(DataError, match="5 stages on disjoint cases need as many patients; 4 teach"):
        scans.of_stage(0, 0)


def test_real_scans_need_a_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="--data"):
        scans_for(protocol("4-4"), tmp_path, None)


def test_phantoms_need_none(tmp_path: Path) -> None:
    source = find_source("phantom")
    scans = scans_for(Protocol(source, "3-2", deal_structures(source.structures, "3-2")), tmp_path, None)
    assert (len(scans.teaching.cases), len(scans.test.cases)) == (8, 5)
    assert scans.teaching.names == source.structures
    assert {case.id for case in scans.teaching.cases}.isdisjoint(case.id for case in scans.test.cases)
