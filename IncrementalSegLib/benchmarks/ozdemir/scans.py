"""Which scans teach and test in a benchmark, dealt by patient."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from IncrementalSegLib.benchmarks.ozdemir.protocols import Protocol, Scenario
from IncrementalSegLib.benchmarks.phantoms import phantoms
from IncrementalSegLib.errors import DataError
from IncrementalSegLib.sampling.cases import Case, Dataset
from IncrementalSegLib.sampling.datasets import open_data

_TEST_SEED = 2018
_FIRST, _SECOND, _TEST = 1000, 2000, 3000  # people of the phantoms: the seed is added for the two steps


@dataclass(frozen=True)
class Scans:
    """The scans of one protocol, scenario and seed.

    Attributes:
        first: Teach the old structure.
        second: Teach the new structure.
        test_old: Measure the old structure.
        test_new: Measure the new structure; the same object as ``test_old`` where the scans are the same.
    """

    first: Dataset
    second: Dataset
    test_old: Dataset
    test_new: Dataset


def scans_for(protocol: Protocol, scenario: Scenario, seed: int, store: Path, data: Path | None) -> Scans:
    """Return the scans of a chain; phantoms are written on the first call.

    Args:
        protocol: The protocol.
        scenario: Its second step.
        seed: Decides which patients teach; those who test are the same for every seed.
        store: Folder for phantoms.
        data: Folder with the real data sets; not needed for phantoms.

    Raises:
        DataError: The data set is not there, or has too few patients.
    """
    if protocol.data is None:
        return _phantoms(protocol, scenario, seed, store)
    if data is None:
        raise DataError(
            f"{protocol.title} runs on real scans.", todo=f"Name the folder that holds {protocol.data}: --data."
        )
    dataset = open_data(data / protocol.data)
    first, second, test = deal(dataset.cases, protocol, scenario, seed)
    tested = replace(dataset, cases=tuple(test))
    return Scans(replace(dataset, cases=tuple(first)), replace(dataset, cases=tuple(second)), tested, tested)


def deal(
    cases: Sequence[Case], protocol: Protocol, scenario: Scenario, seed: int
) -> tuple[list[Case], list[Case], list[Case]]:
    """Deal patients to the first step, the second step and the test.

    The test does not depend on the seed.  A scenario with fewer volumes takes a part of those of one with more.

    Args:
        cases: All cases.
        protocol: Says how many patients the first step and the test get.
        scenario: Says how many the second step gets.
        seed: Decides who teaches in which step.

    Raises:
        DataError: There are too few patients.
    """
    patients = sorted({case.patient for case in cases})
    needed = protocol.test_volumes + protocol.first_volumes + scenario.volumes
    if len(patients) < needed:
        raise DataError(
            f"{protocol.title}, {scenario.title}, needs {needed} patients; the data set has {len(patients)}.",
            todo="Use the whole data set.",
        )
    shuffled = np.random.default_rng(_TEST_SEED).permutation(patients)
    test, others = shuffled[: protocol.test_volumes], np.sort(shuffled[protocol.test_volumes :])
    teaching = np.random.default_rng(seed).permutation(others)
    first, second = teaching[: protocol.first_volumes], teaching[protocol.first_volumes :][: scenario.volumes]
    return _of(cases, first), _of(cases, second), _of(cases, test)


def _of(cases: Sequence[Case], patients: Iterable[str]) -> list[Case]:
    chosen = set(patients)
    return sorted((case for case in cases if case.patient in chosen), key=lambda case: case.id)


def _phantoms(protocol: Protocol, scenario: Scenario, seed: int, store: Path) -> Scans:
    """The same people stand in both scanners, so that scenarios differ in the contrast alone."""
    both = (protocol.old, protocol.new)

    def written(cases: int, scanner: str, structures: tuple[str, ...], people: int) -> Dataset:
        return phantoms(store, cases, scanner, structures, people, protocol.size)

    old = written(protocol.test_volumes, "A", both, _TEST)
    return Scans(
        first=written(protocol.first_volumes, "A", (protocol.old,), _FIRST + seed),
        second=written(scenario.volumes, scenario.scanner, (protocol.new,), _SECOND + seed),
        test_old=old,
        test_new=old if scenario.scanner == "A" else written(protocol.test_volumes, scenario.scanner, both, _TEST),
    )
