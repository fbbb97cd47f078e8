from __future__ import annotations

from pathlib import Path

import pytest

from IncrementalSegLib.benchmarks.ozdemir.protocols import (
    METHODS,
    PROTOCOLS,
    Protocol,
    Scenario,
    chains,
    find_methods,
    find_protocols,
)
from IncrementalSegLib.benchmarks.ozdemir.scans import deal, scans_for
from IncrementalSegLib.errors import DataError, OptionError, UnknownNameError
from IncrementalSegLib.registry import names
from IncrementalSegLib.sampling.cases import Case
from IncrementalSegLib.sampling.datasets import open_data
from IncrementalSegLib.sampling.phantom import SCANNERS, STRUCTURES

SCENARIOS = tuple(Scenario(f"v{volumes}", "", ("lwfseg",), volumes) for volumes in (1, 3))
PROTOCOL = Protocol("p", "P", "data", "unet2d", "quick", (1, 1), "old", "new", 4, 3, SCENARIOS)
CASES = [
    Case(f"{patient}-{scan}", patient, (Path("x"),), frozenset({"old", "new"}))
    for patient in "abcdefghij"
    for scan in (1, 2)
]


def test_everything_named_exists() -> None:
    assert set(METHODS) <= set(names("method"))
    for protocol in PROTOCOLS:
        assert protocol.network in names("network")
        if protocol.data is None:
            assert {protocol.old, protocol.new} <= set(STRUCTURES)
            assert {scenario.scanner for scenario in protocol.scenarios} <= set(SCANNERS)


@pytest.mark.parametrize("protocol", [item for item in PROTOCOLS if item.data])
def test_real_data_suffices(shared_data: Path, protocol: Protocol, tmp_path: Path) -> None:
    for scenario in protocol.scenarios:
        scans = scans_for(protocol, scenario, 1, tmp_path, shared_data)
        sides = [{case.patient for case in side.cases} for side in (scans.first, scans.second, scans.test_old)]
        assert [len(side) for side in sides] == [protocol.first_volumes, scenario.volumes, protocol.test_volumes]
        assert len(set.union(*sides)) == sum(map(len, sides))
        assert {protocol.old, protocol.new} <= set(scans.first.names)


@pytest.mark.parametrize("parts", [1, 2, 3])
def test_parts_share_the_work(parts: int) -> None:
    everything = chains(PROTOCOLS, None, 3)
    shared = [chain for part in range(1, parts + 1) for chain in chains(PROTOCOLS, None, 3, (part, parts))]
    assert sorted(map(str, shared)) == sorted(map(str, everything))
    assert len({(chain.protocol.name, chain.name) for chain in everything}) == len(everything)
    seeds = [chain.seed for chain in chains(PROTOCOLS, None, 3, (parts, parts))]
    assert seeds == sorted(seeds)


def test_parts_begin_with_different_first_steps() -> None:
    begun = [chains(PROTOCOLS[:3], None, 1, (part, 2))[0].protocol.name for part in (1, 2)]
    assert len(set(begun)) == 2


def test_only_the_methods_asked_for() -> None:
    assert {chain.method for chain in chains(PROTOCOLS, find_methods("lwfseg, separate"), 2)} == {"lwfseg", "separate"}


@pytest.mark.parametrize(
    ("text", "with_data", "expected"),
    [
        (None, False, ["phantom"]),
        (None, True, ["phantom", "spine", "hippocampus"]),
        ("phantom-paper", False, ["phantom-paper"]),
    ],
)
def test_choice_of_protocols(text: str | None, with_data: bool, expected: list[str]) -> None:
    assert [protocol.name for protocol in find_protocols(text, with_data)] == expected


def test_wrong_names_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'spine'"):
        find_protocols("spin", True)
    with pytest.raises(OptionError, match="--data"):
        find_protocols("spine", False)
    with pytest.raises(UnknownNameError, match="lwfseg"):
        find_methods("lwf")


def test_patients_are_dealt_once() -> None:
    tests, firsts = set(), set()
    for seed in range(5):
        few, many = (deal(CASES, PROTOCOL, scenario, seed) for scenario in SCENARIOS)
        first, second, test = ({case.patient for case in side} for side in many)
        assert (len(first), len(second), len(test)) == (4, 3, 3)
        assert first.isdisjoint(second)
        assert test.isdisjoint(first | second)
        assert all(len(side) == 2 * size for side, size in zip(many, (4, 3, 3), strict=True))  # two scans each
        assert few[0] == many[0]
        assert few[2] == many[2]
        assert all(case in many[1] for case in few[1])
        tests.add(frozenset(test))
        firsts.add(frozenset(first))
    assert len(tests) == 1
    assert len(firsts) > 1


def test_too_few_patients_are_refused() -> None:
    with pytest.raises(DataError, match="needs 10 patients; the data set has 9"):
        deal(CASES[:18], PROTOCOL, SCENARIOS[1], 0)


def test_phantoms_are_the_same_people_on_both_scanners(tmp_path: Path) -> None:
    scenarios = tuple(Scenario(scanner, "", (), 1, scanner) for scanner in "AC")
    tiny = Protocol("p", "P", None, "unet2d", "quick", (1, 1), "humerus", "scapula", 1, 1, scenarios, (4, 16, 16))
    same, other = (scans_for(tiny, scenario, 0, tmp_path, None) for scenario in scenarios)
    assert same.test_old is same.test_new
    assert other.test_old.cases == same.test_old.cases
    assert [case.id[8:] for case in same.second.cases] == ["_A_2000_000"]
    assert [case.id[8:] for case in other.second.cases + other.test_new.cases] == ["_C_2000_000", "_C_3000_000"]
    assert open_data(same.first.root).names == ("humerus",)
    assert same.second.names == ("scapula",)
