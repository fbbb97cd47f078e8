"""A verdict for each case of a data set, before anything is trained on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from IncrementalSegLib.progress import Phase, Progress, silent
from IncrementalSegLib.sampling.cases import Case, Dataset, Notes
from IncrementalSegLib.sampling.datasets import open_cases, restrict_labels
from IncrementalSegLib.sampling.reading import CaseReader
from IncrementalSegLib.store.manifest import fingerprint
from IncrementalSegLib.structures import StructureSpec, specs_of
from IncrementalSegLib.types import Json
from IncrementalSegLib.volumes.labels import ACCEPTED
from IncrementalSegLib.volumes.notes import Note, Verdict, counted


@dataclass(frozen=True)
class CaseVerdict:
    """Verdict on one case.

    Attributes:
        case: Id of the case.
        verdict: ``"ok"``, ``"warning"`` (it is used) or ``"refused"`` (it cannot be used).
        message: One line that says what to do; empty where the case is fine.
        structures: Labels that were looked for in it, sorted.
    """

    case: str
    verdict: Verdict
    message: str
    structures: tuple[str, ...] = ()

    def to_json(self) -> Json:
        """Return the verdict as ``check --json`` prints it."""
        return asdict(self) | {"structures": list(self.structures)}


@dataclass(frozen=True)
class StructureCount:
    """In how many cases of a data set a structure occurs.

    Attributes:
        looked_for: Cases in which it was looked for.
        found: Cases that show at least one voxel of it.
    """

    looked_for: int
    found: int


class Verdicts(list[CaseVerdict]):
    """One verdict per case, in the order of the data set.

    Args:
        cases: The verdicts.
        notes: Case, image or table -> its notes.
        structures: Label -> in how many cases it occurs, in the order of the data set.
    """

    def __init__(self, cases: Iterable[CaseVerdict], notes: Notes, structures: Mapping[str, StructureCount]) -> None:
        super().__init__(cases)
        self.notes = notes
        self.structures = structures

    @property
    def of_data(self) -> Notes:
        """The notes that belong to no case, for example on images without a label."""
        cases = {item.case for item in self}
        return {name: found for name, found in self.notes.items() if name not in cases}

    def to_json(self) -> Json:
        """Return the object that ``check --json`` prints."""
        return {
            "cases": [item.to_json() for item in self],
            "structures": {name: asdict(count) for name, count in self.structures.items()},
            "notes": counted(self.notes),
        }


def check_data(
    data: Path | str | Dataset,
    structures: str | Sequence[StructureSpec] | None = None,
    progress: Progress = silent,
    *,
    cases: str | None = None,
    strict: bool = False,
    accept_grid: bool = False,
) -> Verdicts:
    """Read every case of a data set and judge it; a broken case does not stop the others.

    Args:
        data: The data set, or its path.
        structures: ``"femur, tibia=LABEL IN DATA"``, as for ``learn``: cases in which none of them was looked for are
            left out, and nothing else is judged; ``None`` judges all.
        progress: Receives progress.
        cases: Case ids, comma-separated, or a file with one id per line; all by default.
        strict: A case with a note is refused.
        accept_grid: Match a label of the size of its image voxel by voxel, ignoring its header.

    Raises:
        DataError: The data set cannot be opened at all, or looks for no structure that is asked for.
        UnknownNameError: The data set has no such label or case.
    """
    dataset = open_cases(data, cases, accept_grid=accept_grid)
    if structures is not None:
        dataset = restrict_labels(dataset, specs_of(structures))
    reader = CaseReader(dataset)
    for done, case in enumerate(dataset.cases, start=1):
        reader.judge(case)
        progress(Phase.CHECKING, done / len(dataset.cases))
    reader.compare()
    notes = dict(reader.notes)
    if copies := _copies(dataset):
        notes[dataset.name] = (*notes.get(dataset.name, ()), *copies)
    verdicts = (_verdict(case, notes.get(case.id, ()), strict) for case in dataset.cases)
    return Verdicts(verdicts, notes, _counts(dataset, reader))


def _copies(dataset: Dataset) -> tuple[Note, ...]:
    """Return a note where some cases of a data set have the same image files."""
    first: dict[str, str] = {}
    found = []
    for case in dataset.cases:
        if all(path.exists() for path in case.images):
            other = first.setdefault(fingerprint(case.images), case.id)
            found += [(case.id, other)] if other != case.id else []
    if not found:
        return ()
    copy, original = found[0]
    said = f"{len(found)} of {len(dataset.cases)} scans are copies of others, for example {copy!r} of {original!r}"
    return (Note("copies", f"{said}: keep one of each, unless they show different structures."),)


def _counts(dataset: Dataset, reader: CaseReader) -> dict[str, StructureCount]:
    found = Counter(name for names in reader.found.values() for name in names)
    asked = Counter(name for case in dataset.cases for name in case.looked_for)
    return {name: StructureCount(asked[name], found[name]) for name in dataset.names if asked[name]}


def _verdict(case: Case, notes: Iterable[Note], strict: bool) -> CaseVerdict:
    found = sorted(notes, key=lambda note: note.verdict != "refused")
    verdict: Verdict = found[0].verdict if found else "ok"
    if strict and any(note.kind != ACCEPTED for note in found):
        verdict = "refused"
    return CaseVerdict(case.id, verdict, " ".join(note.message for note in found), tuple(sorted(case.looked_for)))
