"""Notes on the files of a case, counted over a data set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from IncrementalSegLib.types import Json

Verdict = Literal["ok", "warning", "refused"]


@dataclass(frozen=True)
class Note:
    """One fact about a file: an assumption, a repair, a doubt, or why it cannot be used.

    Attributes:
        kind: What notes of the same cause share, for example ``"other-grid"``; they are counted by it.
        message: One line that names the file and says what to do.
        verdict: ``"warning"``: the file is used; ``"refused"``: it cannot be used.
        values: Values of a map that it is about, so that cases can be compared.
    """

    kind: str
    message: str
    verdict: Literal["warning", "refused"] = "warning"
    values: tuple[int, ...] = ()


def summary(notes: Mapping[str, Sequence[Note]]) -> list[str]:
    """Return one sentence per kind of note, with its count and its first example.

    Args:
        notes: Case id -> notes of that case, in the order of the data set.

    Example:
        >>> summary({"p1": [Note("repaired", "a.nii was repaired.")], "p2": [Note("repaired", "b.nii was repaired.")]})
        ['2 cases, first p1: a.nii was repaired.']
    """
    return [
        f"{case}: {note.message}" if count == 1 else f"{count} cases, first {case}: {note.message}"
        for case, note, count in _first_of_each(notes)
    ]


def counted(notes: Mapping[str, Sequence[Note]]) -> list[Json]:
    """Return the kinds of notes as JSON: ``kind``, ``count`` of cases, the first ``case``, and the sentence ``text``.

    Example:
        >>> counted({"p1": [Note("repaired", "a.nii was repaired.")]})
        [{'kind': 'repaired', 'count': 1, 'case': 'p1', 'text': 'p1: a.nii was repaired.'}]
    """
    found = zip(_first_of_each(notes), summary(notes), strict=True)
    return [{"kind": note.kind, "count": count, "case": case, "text": text} for (case, note, count), text in found]


def _first_of_each(notes: Mapping[str, Sequence[Note]]) -> Iterable[tuple[str, Note, int]]:
    first: dict[str, tuple[str, Note]] = {}
    cases: dict[str, set[str]] = {}
    for case, found in notes.items():
        for note in found:
            first.setdefault(note.kind, (case, note))
            cases.setdefault(note.kind, set()).add(case)
    return [(*first[kind], len(cases[kind])) for kind in first]
