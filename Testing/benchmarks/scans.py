"""Training and test scans of a protocol, divided by patient."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from IncrementalSegLib.errors import DataError
from IncrementalSegLib.sampling.cases import Case, Dataset
from IncrementalSegLib.sampling.datasets import open_data, restrict_labels
from IncrementalSegLib.sampling.reading import read_case
from IncrementalSegLib.structures import StructureSpec
from Testing.benchmarks.dealing import deal_patients, of_patients
from Testing.benchmarks.phantoms import PEOPLE, phantoms
from Testing.benchmarks.protocol import Protocol, Source
from Testing.benchmarks.slices import middle_slices
from Testing.benchmarks.sources import SourceScans


@dataclass(frozen=True)
class Scans:
    """Scans of a protocol with one seed.

    Attributes:
        protocol: The protocol.
        teaching: Scans of the training patients of each stage.
        tests: Test scans of each stage's structures, independent of the seed; the same object for the same scans.
        sources: The scans of each source, where the stages have sources.
    """

    protocol: Protocol
    teaching: tuple[Dataset, ...]
    tests: tuple[Dataset, ...]
    sources: SourceScans | None = None
    _present: dict[str, set[str]] = field(default_factory=dict, repr=False)

    @property
    def volumes(self) -> int:
        """Number of training scans."""
        return len({case.id for scans in self.teaching for case in scans.cases})

    @property
    def test(self) -> list[str]:
        """Names of all test cases."""
        return sorted({case.id for scans in self.tests for case in scans.cases})

    def of_stage(self, number: int) -> Dataset:
        """Return the training scans of a stage, from 0: those that show one of its structures.

        Raises:
            DataError: There is none.
        """
        return self._with_any(self.teaching[number], self.protocol.stages[number].structures)

    def everything(self) -> Dataset:
        """Return the training scans of all stages."""
        if self.sources is not None:
            return self.sources.complete()
        cases = {case.id: case for scans in self.teaching for case in scans.cases}
        return self._with_any(replace(self.teaching[0], cases=tuple(cases.values())), self.protocol.structures)

    def of_sources(self, number: int) -> list[tuple[Source, Dataset, frozenset[str]]]:
        """Return the sources of a stage, each with its training scans and the names of the test cases of its kind."""
        assert self.sources is not None
        stage = self.protocol.stages[number]
        return [
            (source, scans, self.sources.tests_of(source))
            for source, scans in zip(stage.sources, self.sources.stages[number], strict=True)
        ]

    def measuring(self, structures: Sequence[str]) -> list[tuple[Dataset, list[str]]]:
        """Return the test scans, each with its structures."""
        found: dict[int, tuple[Dataset, list[str]]] = {}
        for test, stage in zip(self.tests, self.protocol.stages, strict=True):
            known = [name for name in stage.structures if name in structures]
            if known:
                found.setdefault(id(test), (test, []))[1].extend(known)
        return [(test, list(dict.fromkeys(known))) for test, known in found.values()]

    def require_all(self) -> None:
        """Refuse a protocol early if a structure occurs in no training scan or in no test scan.

        Raises:
            DataError: Names the structures.
        """
        for sides, kind in ((self.teaching, "training"), (self.tests, "test")):
            present = set[str]().union(*(self._found(case) for scans in sides for case in scans.cases))
            absent = [name for name in self.protocol.structures if name not in present]
            if absent:
                raise DataError(
                    f"{', '.join(absent)} occurs in no {kind} scan.",
                    todo="Look at the labels with `incrementalseg check`, or use the whole data set.",
                )

    def _with_any(self, scans: Dataset, structures: Collection[str]) -> Dataset:
        chosen = tuple(case for case in scans.cases if not self._found(case).isdisjoint(structures))
        if not chosen:
            raise DataError(
                f"{', '.join(structures)} occurs in no training scan of its stage.",
                todo="Use a protocol whose stages share scans, or look at the labels with `incrementalseg check`.",
            )
        return replace(scans, cases=chosen)

    def _found(self, case: Case) -> set[str]:
        """Return the structures that a case shows; each case is read once."""
        if case.id not in self._present:
            requests = [StructureSpec(name, name) for name in self.protocol.structures]
            (whole,) = restrict_labels(replace(self.teaching[0], cases=(case,)), requests).cases
            self._present[case.id] = {name for name, mask in read_case(whole)[1].items() if mask.any()}
        return self._present[case.id]


def scans_for(protocol: Protocol, seed: int, store: Path, data: Path | None) -> Scans:
    """Return the scans of a protocol; phantoms are written on the first call.

    Args:
        protocol: The protocol.
        seed: Draws the patients of disjoint stages.
        store: Folder for phantoms and slices; several processes may share it.
        data: The data set, or the folder that holds it; not needed for phantoms.

    Raises:
        DataError: The data set is not there, lacks a structure, or has too few patients.
    """
    if any(stage.sources for stage in protocol.stages):
        sources = SourceScans(protocol, seed, store, data)
        stages = range(len(protocol.stages))
        return Scans(protocol, tuple(map(sources.of_stage, stages)), (sources.test(),) * len(stages), sources)
    if not protocol.data.folder:
        return _phantoms(protocol, seed, store)
    dataset = open_data(_place(protocol, data))
    if protocol.data.slices:
        dataset = middle_slices(dataset, store)
    train, test = deal_patients(dataset.cases, protocol.data, validation=protocol.validation)
    pool, measured = replace(dataset, cases=train), replace(dataset, cases=test)
    return Scans(protocol, _deal(pool, protocol, seed), (measured,) * len(protocol.stages))


def _place(protocol: Protocol, data: Path | None) -> Path:
    folder = protocol.data.folder
    if data is None:
        raise DataError(f"{protocol.name} runs on real scans.", todo=f"Name the folder that holds {folder}: --data.")
    return data / folder if (data / folder).is_dir() else data


def _deal(pool: Dataset, protocol: Protocol, seed: int) -> tuple[Dataset, ...]:
    """Draw the patients of the stages; fewer volumes are a subset of more."""
    stages = protocol.stages
    if not protocol.disjoint:
        return (pool,) * len(stages)
    patients = sorted({case.patient for case in pool.cases})
    needed = sum(stage.volumes or 1 for stage in stages)
    if len(patients) < needed:
        raise DataError(
            f"The stages of {protocol.name} need {needed} training patients; there are {len(patients)}.",
            todo="Use the whole data set, or a protocol whose stages share their scans.",
        )
    order = np.random.default_rng(seed).permutation(patients)
    if all(stage.volumes for stage in stages):
        ends = np.cumsum([stage.volumes for stage in stages])
        parts = np.split(order[: ends[-1]], ends[:-1])
    else:
        parts = np.array_split(order, len(stages))
    return tuple(replace(pool, cases=of_patients(pool.cases, part.tolist())) for part in parts)


def _phantoms(protocol: Protocol, seed: int, store: Path) -> Scans:
    """Return phantoms; the people are the same on all scanners, so that only the contrast differs."""
    data, stages = protocol.data, protocol.stages

    def written(cases: int, people: int, scanner: str) -> Dataset:
        return phantoms(store, cases, scanner, protocol.structures, people, data.size)

    own = protocol.disjoint and all(stage.volumes for stage in stages)
    first_test = data.seed + PEOPLE * ((len(stages) if own else 1) + protocol.validation)
    tests = {stage.scanner: written(data.test_volumes, first_test, stage.scanner) for stage in stages}
    if own:
        teaching = tuple(
            written(stage.volumes, data.seed + PEOPLE * number + seed, stage.scanner)
            for number, stage in enumerate(stages)
        )
    else:
        teaching = _deal(written(data.volumes, data.seed, "A"), protocol, seed)
    return Scans(protocol, teaching, tuple(tests[stage.scanner] for stage in stages))
