"""A verdict for each case of a data set, before anything is trained on it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from IncrementalSegLib.errors import UnknownNameError
from IncrementalSegLib.names import name_key
from IncrementalSegLib.sampling.cases import Case, Dataset, Notes
from IncrementalSegLib.sampling.datasets import open_cases
from IncrementalSegLib.sampling.reading import CaseReader
from IncrementalSegLib.types import Json
from IncrementalSegLib.volumes.labels import ACCEPTED
from IncrementalSegLib.volumes.notes import Note, Verdict, counted


@dataclass(frozen=True)
class CaseVerdict:
    """What a person should know about one case.

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


class Verdicts(list[CaseVerdict]):
    """One verdict per case, in the order of the data set.

    Args:
        cases: The verdicts.
        notes: Case, image or table -> its notes.
    """

    def __init__(self, cases: Iterable[CaseVerdict], notes: Notes) -> None:
        super().__init__(cases)
        self.notes = notes

    @property
    def of_data(self) -> Notes:
        """The notes that belong to no case, for example on images without a label."""
        cases = {item.case for item in self}
        return {name: found for name, found in self.notes.items() if name not in cases}

    def to_json(self) -> Json:
        """Return the object that ``check --json`` prints."""
        return {"cases": [item.to_json() for item in self], "notes": counted(self.notes)}


def check_data(
    data: Path | str | Dataset,
    names: Iterable[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
    *,
    strict: bool = False,
    accept_grid: bool = False,
) -> Verdicts:
    """Read every case of a data set and judge it; a broken case does not stop the others.

    Args:
        data: The data set, or its path.
        names: Labels to judge; ``None`` judges all that were looked for.
        progress: Called with the number of cases done and of all cases.
        strict: A case with a note is refused.
        accept_grid: Take labels of their image's size voxel by voxel, wherever their headers put them.

    Raises:
        DataError: The data set cannot be opened at all.
        UnknownNameError: The data set has no such label.
    """
    dataset = open_cases(data, accept_grid=accept_grid)
    wanted = None if names is None else {name_key(name) for name in names}
    for name in wanted or ():
        if name not in {name_key(known) for known in dataset.names}:
            raise UnknownNameError("label", name, dataset.names)
    reader = CaseReader(dataset)
    for done, case in enumerate(dataset.cases, start=1):
        kept = frozenset(name for name in case.looked_for if wanted is None or name_key(name) in wanted)
        reader.judge(replace(case, looked_for=kept), labels=wanted is None or bool(kept))
        if progress is not None:
            progress(done, len(dataset.cases))
    reader.compare()
    verdicts = (_verdict(case, reader.notes.get(case.id, ()), strict) for case in dataset.cases)
    return Verdicts(verdicts, reader.notes)


def _verdict(case: Case, notes: Iterable[Note], strict: bool) -> CaseVerdict:
    found = sorted(notes, key=lambda note: note.verdict != "refused")
    verdict: Verdict = found[0].verdict if found else "ok"
    if strict and any(note.kind != ACCEPTED for note in found):
        verdict = "refused"
    return CaseVerdict(case.id, verdict, " ".join(note.message for note in found), tuple(sorted(case.looked_for)))
