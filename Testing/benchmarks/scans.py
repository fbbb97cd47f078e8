"""Scans of a protocol: who teaches each stage and who measures, dealt by patient."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from filelock import FileLock

from IncrementalSegLib.errors import DataError
from IncrementalSegLib.sampling.cases import Case, Dataset
from IncrementalSegLib.sampling.datasets import open_data, restrict_labels
from IncrementalSegLib.sampling.phantom import write_phantom_dataset
from IncrementalSegLib.sampling.reading import read_case
from IncrementalSegLib.structures import StructureSpec
from Testing.benchmarks.protocol import Protocol

_PEOPLE = 1000  # of a group of phantoms, at most
_VALIDATION_SHARE = 0.25


@dataclass(frozen=True)
class Scans:
    """Scans of a protocol with one seed.

    Attributes:
        protocol: The protocol.
        teaching: Scans of the patients who teach each stage.
        tests: Scans that measure each stage's structures, whatever the seed; one object where they are the same.
    """

    protocol: Protocol
    teaching: tuple[Dataset, ...]
    tests: tuple[Dataset, ...]
    _present: dict[str, set[str]] = field(default_factory=dict, repr=False)

    @property
    def volumes(self) -> int:
        """Number of scans that teach."""
        return len({case.id for scans in self.teaching for case in scans.cases})

    @property
    def test(self) -> list[str]:
        """Names of all cases that measure."""
        return sorted({case.id for scans in self.tests for case in scans.cases})

    def of_stage(self, number: int) -> Dataset:
        """Return the scans that teach a stage, from 0: those in which one of its structures occurs.

        Raises:
            DataError: There is none.
        """
        return self._with_any(self.teaching[number], self.protocol.stages[number].structures)

    def everything(self) -> Dataset:
        """Return the scans of all stages."""
        cases = {case.id: case for scans in self.teaching for case in scans.cases}
        return self._with_any(replace(self.teaching[0], cases=tuple(cases.values())), self.protocol.structures)

    def measuring(self, structures: Sequence[str]) -> list[tuple[Dataset, list[str]]]:
        """Return the scans that measure, each with the structures that are measured on them."""
        found: dict[int, tuple[Dataset, list[str]]] = {}
        for test, stage in zip(self.tests, self.protocol.stages, strict=True):
            known = [name for name in stage.structures if name in structures]
            if known:
                found.setdefault(id(test), (test, []))[1].extend(known)
        return list(found.values())

    def require_all(self) -> None:
        """Refuse a protocol with a structure that no scan teaches or none measures, before hours are spent on it.

        Raises:
            DataError: Names the structures.
        """
        for sides, verb in ((self.teaching, "teach"), (self.tests, "measure")):
            present = set[str]().union(*(self._found(case) for scans in sides for case in scans.cases))
            absent = [name for name in self.protocol.structures if name not in present]
            if absent:
                raise DataError(
                    f"{', '.join(absent)} occurs in none of the scans that {verb}.",
                    todo="Look at the labels with `incrementalseg check`, or use the whole data set.",
                )

    def _with_any(self, scans: Dataset, structures: Collection[str]) -> Dataset:
        chosen = tuple(case for case in scans.cases if not self._found(case).isdisjoint(structures))
        if not chosen:
            raise DataError(
                f"{', '.join(structures)} occurs in none of the scans that shall teach it.",
                todo="Use a protocol whose stages share scans, or look at the labels with `incrementalseg check`.",
            )
        return replace(scans, cases=chosen)

    def _found(self, case: Case) -> set[str]:
        """Return which structures have a voxel in a case; it is read once."""
        if case.id not in self._present:
            requests = [StructureSpec(name, name) for name in self.protocol.structures]
            (whole,) = restrict_labels(replace(self.teaching[0], cases=(case,)), requests).cases
            self._present[case.id] = {name for name, mask in read_case(whole)[1].items() if mask.any()}
        return self._present[case.id]


def scans_for(protocol: Protocol, seed: int, store: Path, data: Path | None) -> Scans:
    """Return the scans of a protocol; phantoms are written on the first call.

    Args:
        protocol: The protocol.
        seed: Deals patients to disjoint stages.
        store: Folder for phantoms; several processes may share it.
        data: The data set, or the folder that holds it; not needed for phantoms.

    Raises:
        DataError: The data set is not there, lacks a structure, or has too few patients.
    """
    if not protocol.data.folder:
        return _phantoms(protocol, seed, store)
    dataset, asked = open_data(_place(protocol, data)), protocol.data
    patients = sorted({case.patient for case in dataset.cases})
    if len(patients) <= asked.test_volumes:
        raise DataError(
            f"{protocol.name} measures on {asked.test_volumes} patients; the data set has {len(patients)} in all.",
            todo="Use the whole data set.",
        )
    dealt = np.random.default_rng(asked.seed).permutation(patients).tolist()
    test, others = dealt[: asked.test_volumes], dealt[asked.test_volumes :]
    if protocol.validation:
        count = max(1, round(_VALIDATION_SHARE * len(others)))
        test, others = others[:count], others[count:]
    return Scans(protocol, _deal(_of(dataset, others), protocol, seed), (_of(dataset, test),) * len(protocol.stages))


def _place(protocol: Protocol, data: Path | None) -> Path:
    folder = protocol.data.folder
    if data is None:
        raise DataError(f"{protocol.name} runs on real scans.", todo=f"Name the folder that holds {folder}: --data.")
    return data / folder if (data / folder).is_dir() else data


def _of(dataset: Dataset, patients: Collection[str]) -> Dataset:
    return replace(dataset, cases=tuple(case for case in dataset.cases if case.patient in patients))


def _deal(pool: Dataset, protocol: Protocol, seed: int) -> tuple[Dataset, ...]:
    """Deal patients to the stages; a stage with fewer volumes takes a part of those of one with more."""
    stages = protocol.stages
    if not protocol.disjoint:
        return (pool,) * len(stages)
    patients = sorted({case.patient for case in pool.cases})
    needed = sum(stage.volumes or 1 for stage in stages)
    if len(patients) < needed:
        raise DataError(
            f"The stages of {protocol.name} need {needed} patients; {len(patients)} teach.",
            todo="Use the whole data set, or a protocol whose stages share their scans.",
        )
    order = np.random.default_rng(seed).permutation(patients)
    if all(stage.volumes for stage in stages):
        ends = np.cumsum([stage.volumes for stage in stages])
        parts = np.split(order[: ends[-1]], ends[:-1])
    else:
        parts = np.array_split(order, len(stages))
    return tuple(_of(pool, part.tolist()) for part in parts)


def _phantoms(protocol: Protocol, seed: int, store: Path) -> Scans:
    """Return phantoms; the same people stand in all scanners, so that these differ in the contrast alone."""
    data, stages = protocol.data, protocol.stages

    def written(cases: int, people: int, scanner: str) -> Dataset:
        return phantoms(store, cases, scanner, protocol.structures, people, data.size)

    own = protocol.disjoint and all(stage.volumes for stage in stages)
    first_test = data.seed + _PEOPLE * ((len(stages) if own else 1) + protocol.validation)
    tests = {stage.scanner: written(data.test_volumes, first_test, stage.scanner) for stage in stages}
    if own:
        teaching = tuple(
            written(stage.volumes, data.seed + _PEOPLE * number + seed, stage.scanner)
            for number, stage in enumerate(stages)
        )
    else:
        teaching = _deal(written(data.volumes, data.seed, "A"), protocol, seed)
    return Scans(protocol, teaching, tuple(tests[stage.scanner] for stage in stages))


def phantoms(
    store: Path, cases: int, scanner: str, structures: Sequence[str], people: int, size: tuple[int, int, int] | None
) -> Dataset:
    """Return a phantom data set, written on the first call; other numbers of people are other people."""
    side = "" if size is None else f"-{size[1]}"
    name = f"{scanner}{side}-{'-'.join(structures)}-{people}-{cases}"
    store.mkdir(parents=True, exist_ok=True)
    with FileLock(store / f"{name}.lock"):
        if not (store / name).is_dir():
            write_phantom_dataset(store / name, cases, scanner, structures, people, size)
    return open_data(store / name)
