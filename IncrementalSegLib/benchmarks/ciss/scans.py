"""Which scans teach each stage, and which measure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from IncrementalSegLib.benchmarks.ciss.protocol import Protocol, Source
from IncrementalSegLib.benchmarks.phantoms import phantoms
from IncrementalSegLib.errors import DataError
from IncrementalSegLib.sampling.cases import Dataset
from IncrementalSegLib.sampling.datasets import looked_for, open_data
from IncrementalSegLib.sampling.reading import read_case
from IncrementalSegLib.structures import Request

_TEST_SEED = 2026
_TEACH, _TEST, _VALIDATION = 4000, 5000, 6000  # people of the phantoms
_VALIDATION_SHARE = 0.25


@dataclass(frozen=True)
class Scans:
    """The scans of a protocol, divided by patient.

    Attributes:
        protocol: The protocol.
        teaching: Scans that teach.
        test: Scans that measure, whatever the seed.
    """

    protocol: Protocol
    teaching: Dataset
    test: Dataset

    def of_stage(self, number: int, seed: int) -> Dataset:
        """Return the scans of a stage, from 0: those in which one of its structures occurs.

        With disjoint cases each stage has a part of the patients of its own, dealt by the seed.

        Raises:
            DataError: There are fewer patients than stages, or the structures occur in none of the scans.
        """
        stages = self.protocol.stages
        if self.protocol.cases == "shared":
            return self.with_any(stages[number])
        patients = sorted({case.patient for case in self.teaching.cases})
        if len(patients) < len(stages):
            raise DataError(
                f"{len(stages)} stages on disjoint cases need as many patients; {len(patients)} teach.",
                todo="Use --cases shared, or a protocol with fewer stages.",
            )
        parts = np.array_split(np.random.default_rng(seed).permutation(patients), len(stages))
        return self.with_any(stages[number], set(parts[number].tolist()))

    def with_any(self, structures: Sequence[str], patients: Collection[str] | None = None) -> Dataset:
        """Return the teaching scans in which one of the structures occurs, of some patients or of all."""
        cases = tuple(
            case
            for case in self.teaching.cases
            if (patients is None or case.patient in patients) and not self._present[case.id].isdisjoint(structures)
        )
        if not cases:
            raise DataError(
                f"{', '.join(structures)} occurs in none of the scans that shall teach it.",
                todo="Use --cases shared, or look at the labels with `incrementalseg check`.",
            )
        return replace(self.teaching, cases=cases)

    def require_all(self) -> None:
        """Refuse a protocol with a structure that no scan teaches or none measures, before hours are spent on it.

        Raises:
            DataError: Names the structures.
        """
        for present, verb in ((self._present, "teach"), (self._measured, "measure")):
            absent = [name for name in self.protocol.structures if name not in set().union(*present.values())]
            if absent:
                raise DataError(
                    f"{', '.join(absent)} occurs in none of the scans that {verb}.",
                    todo="Look at the labels with `incrementalseg check`, or use the whole data set.",
                )

    @cached_property
    def _present(self) -> dict[str, set[str]]:
        return self._found(self.teaching)

    @cached_property
    def _measured(self) -> dict[str, set[str]]:
        return self._found(self.test)

    def _found(self, scans: Dataset) -> dict[str, set[str]]:
        """Return which structures have a voxel in which case; reads every scan."""
        requests = [Request(name, name) for name in self.protocol.structures]
        return {
            case.id: {name for name, mask in read_case(case)[1].items() if mask.any()}
            for case in looked_for(scans, requests).cases
        }


def scans_for(protocol: Protocol, store: Path, data: Path | None) -> Scans:
    """Return the scans of a protocol; phantoms are written on the first call.

    Args:
        protocol: The protocol.
        store: Folder for phantoms.
        data: The data set, or the folder that holds it; not needed for phantoms.

    Raises:
        DataError: The data set is not there, lacks a structure, or has too few patients.
    """
    source = protocol.source
    if source.folder is None:
        structures, size = source.structures, source.size
        people = _TEST if protocol.split == "test" else _VALIDATION
        return Scans(
            protocol,
            phantoms(store, source.volumes, "A", structures, _TEACH, size),
            phantoms(store, source.test_volumes, "A", structures, people, size),
        )
    dataset = open_data(_place(source, data))
    patients = sorted({case.patient for case in dataset.cases})
    if len(patients) <= source.test_volumes:
        raise DataError(
            f"{source.title} measures on {source.test_volumes} patients; the data set has {len(patients)} in all.",
            todo="Use the whole data set.",
        )
    dealt = np.random.default_rng(_TEST_SEED).permutation(patients).tolist()
    tested, others = dealt[: source.test_volumes], dealt[source.test_volumes :]
    if protocol.split == "validation":
        count = max(1, round(_VALIDATION_SHARE * len(others)))
        tested, others = others[:count], others[count:]
    test, teaching = (tuple(case for case in dataset.cases if case.patient in side) for side in (tested, others))
    return Scans(protocol, replace(dataset, cases=teaching), replace(dataset, cases=test))


def _place(source: Source, data: Path | None) -> Path:
    assert source.folder is not None, "phantoms lie in no folder"
    if data is None:
        raise DataError(
            f"{source.title} runs on real scans.", todo=f"Name the folder that holds {source.folder}: --data."
        )
    inside = data / source.folder
    return inside if inside.is_dir() else data
