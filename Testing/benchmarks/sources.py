"""Scans of protocols whose stages learn from several sources, each annotated in part."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from IncrementalSegLib.errors import DataError
from IncrementalSegLib.sampling.cases import Case, Dataset
from IncrementalSegLib.sampling.datasets import open_data, restrict_labels
from IncrementalSegLib.structures import StructureSpec
from Testing.benchmarks.dealing import deal_patients, of_patients
from Testing.benchmarks.phantoms import PEOPLE, phantoms
from Testing.benchmarks.protocol import Protocol, Source, Stage


class DomainScans:
    """The training and test scans of one data set, or of one scanner of phantoms.

    Args:
        source: Any source of the domain.
        structures: All structures of the protocol.
        store: Folder for phantoms.
        data: The folder that holds the data sets.
        validation: The test patients are left out, and others are the test, for choosing options.

    Raises:
        DataError: The data set is not there or has too few patients.
    """

    def __init__(
        self, source: Source, structures: Sequence[str], store: Path, data: Path | None, *, validation: bool
    ) -> None:
        asked = source.data
        if not asked.folder:
            apart = 5 if validation else 1  # no people of another domain
            sides = ((asked.volumes, asked.seed), (asked.test_volumes, asked.seed + apart * PEOPLE))
            train, test = (
                phantoms(store, volumes, source.scanner, structures, people, asked.size) for volumes, people in sides
            )
            self.train, self.test = train.cases, test.cases
        else:
            if data is None or not (data / asked.folder).is_dir():
                raise DataError(
                    f"The data set {asked.folder} is not there.", todo="Name the folder that holds it: --data."
                )
            cases = open_data(data / asked.folder).cases
            self.train, self.test = deal_patients(cases, asked, validation=validation)

    def parts(self, count: int, seed: int) -> list[tuple[Case, ...]]:
        """Split the training scans into equal parts by patient."""
        patients = sorted({case.patient for case in self.train})
        order = np.random.default_rng(seed).permutation(patients)
        return [of_patients(self.train, part.tolist()) for part in np.array_split(order, count)]


class SourceScans:
    """The scans of each source, and of the test.

    Args:
        protocol: Its stages have sources.
        seed: Shares out the patients.
        store: Folder for phantoms; several processes may share it.
        data: The folder that holds the data sets; not needed for phantoms.

    Raises:
        DataError: A data set is not there, lacks a structure, or has too few patients.
    """

    def __init__(self, protocol: Protocol, seed: int, store: Path, data: Path | None) -> None:
        self.protocol = protocol
        sources = [source for stage in protocol.stages for source in stage.sources]
        self.domains = {
            item.domain: DomainScans(item, protocol.structures, store, data, validation=protocol.validation)
            for item in sources
        }
        self.stages = [self._stage(stage, seed) for stage in protocol.stages]

    def of_stage(self, number: int) -> Dataset:
        """Return the training scans of a stage, each with the labels of its source."""
        return self._dataset(case for scans in self.stages[number] for case in scans.cases)

    def test(self) -> Dataset:
        """Return the test scans of all domains, with all their labels."""
        return self._complete(domain.test for domain in self.domains.values())

    def complete(self) -> Dataset:
        """Return all training scans, with all their labels."""
        return self._complete(domain.train for domain in self.domains.values())

    def tests_of(self, source: Source) -> frozenset[str]:
        """Return the names of the test cases of a source's data set."""
        return frozenset(case.id for case in self.domains[source.domain].test)

    def tests(self) -> dict[str, list[str]]:
        """Return the names of the test cases of each domain."""
        sides = {source.domain: self.tests_of(source) for stage in self.protocol.stages for source in stage.sources}
        return {domain: sorted(cases) for domain, cases in sides.items()}

    def _stage(self, stage: Stage, seed: int) -> list[Dataset]:
        keys = [source.domain for source in stage.sources]
        shares = {key: iter(self.domains[key].parts(keys.count(key), seed)) for key in dict.fromkeys(keys)}
        found = []
        for number, source in enumerate(stage.sources):
            called = f"{source.domain} {number}" if len(stage.sources) > 1 else ""  # a step balances several
            cases = (replace(case, source=called) for case in next(shares[source.domain]))
            wanted = [StructureSpec(name, name) for name in source.structures]
            found.append(restrict_labels(self._dataset(cases), wanted))
        return found

    def _complete(self, sides: Iterable[Sequence[Case]]) -> Dataset:
        whole = self._dataset(case for side in sides for case in side)
        return restrict_labels(whole, [StructureSpec(name, name) for name in self.protocol.structures])

    def _dataset(self, cases: Iterable[Case]) -> Dataset:
        return Dataset(self.protocol.name, Path(self.protocol.name), self.protocol.structures, tuple(cases))
