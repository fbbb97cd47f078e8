"""A verdict for each case of a data set, before anything is trained on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median

from IncrementalSegLib.errors import IncrementalSegError, UnknownNameError
from IncrementalSegLib.sampling.cases import Case, Dataset
from IncrementalSegLib.sampling.datasets import open_data
from IncrementalSegLib.types import Json
from IncrementalSegLib.volumes.checks import check_image, check_segmentation, one_line
from IncrementalSegLib.volumes.labels import read_label
from IncrementalSegLib.volumes.notes import Note, Verdict
from IncrementalSegLib.volumes.volume import Grid

_SPACING_RATIO = 3.0
"""A spacing this many times the median of the data set, or this small a part of it, is told."""


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


@dataclass(frozen=True)
class _Read:
    """What is remembered of a case until all are read."""

    notes: tuple[Note, ...]
    grid: Grid | None = None
    channels: int = 0


def check_data(
    data: Path | str | Dataset,
    names: Iterable[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[CaseVerdict]:
    """Read every case of a data set and judge it; a broken case does not stop the others.

    Args:
        data: The data set, or its path.
        names: Labels to judge; ``None`` judges all that were looked for.
        progress: Called with the number of cases done and of all cases.

    Returns:
        One verdict per case, in the order of the data set.

    Raises:
        DataError: The data set cannot be opened at all.
        UnknownNameError: The data set has no such label.
    """
    dataset = data if isinstance(data, Dataset) else open_data(data)
    wanted = None if names is None else {name.casefold() for name in names}
    for name in wanted or ():
        if name not in {known.casefold() for known in dataset.names}:
            raise UnknownNameError("label", name, dataset.names)
    seen = []
    for done, case in enumerate(dataset.cases, start=1):
        seen.append(_read(case, wanted))
        if progress is not None:
            progress(done, len(dataset.cases))
    compared = _compared(seen)
    return [_verdict(case, read.notes) for case, read in zip(dataset.cases, compared, strict=True)]


def _read(case: Case, wanted: set[str] | None) -> _Read:
    try:
        volume, notes = check_image(case.images)
        if volume is None:
            return _Read(tuple(notes))
        labels = sorted(name for name in case.looked_for if wanted is None or name.casefold() in wanted)
        if labels:
            notes += check_segmentation(volume, labels, case.label, case.values, case.masks)
        elif wanted is None:
            if case.label is not None:  # what it declares is unknown, perhaps because it is broken
                read_label(case.label, volume.grid)
            notes.append(Note("nothing-looked-for", "Nothing was looked for: name its structures, or remove the case."))
        return _Read(tuple(notes), volume.grid, volume.channels)
    except IncrementalSegError as error:
        return _Read((Note("refused", one_line(error), "refused"),))
    except (OSError, ValueError, RuntimeError, MemoryError) as error:
        said = f"{type(error).__name__}: {one_line(error)} Export the case again."
        return _Read((Note("refused", said, "refused"),))


def _compared(seen: list[_Read]) -> list[_Read]:
    """Add what is only seen beside the other cases: axes, channels, spacing."""
    whole = [read for read in seen if read.grid is not None]
    if len(whole) < 3:
        return seen
    planar = Counter(read.grid.planar for read in whole if read.grid).most_common(1)[0][0]
    channels = Counter(read.channels for read in whole).most_common(1)[0][0]
    spacings = [sorted(read.grid.spacing) for read in whole if read.grid and read.grid.planar == planar]
    usual = [median(axis) for axis in zip(*spacings, strict=True)]
    return [replace(read, notes=(*read.notes, *_odd(read, planar, channels, usual))) for read in seen]


def _odd(read: _Read, planar: bool, channels: int, usual: list[float]) -> Iterable[Note]:
    if read.grid is None:
        return
    if read.grid.planar != planar:
        kinds = ("a picture", "volumes") if read.grid.planar else ("a volume", "pictures")
        said = f"It is {kinds[0]} and the other cases are {kinds[1]}: keep them in two data sets."
        yield Note("other-axes", said, "refused")
        return
    if read.channels != channels:
        said = f"It has {read.channels} channels and the other cases {channels}: add or remove channels."
        if any(note.kind == "fourth-axis" for note in read.notes):
            said = f"It has {read.channels} channels or time frames and the other cases {channels}: save one of them."
        yield Note("other-channels", said, "refused")
    ratios = [own / other for own, other in zip(sorted(read.grid.spacing), usual, strict=True)]
    if not planar and (max(ratios) > _SPACING_RATIO or min(ratios) < 1 / _SPACING_RATIO):
        own = " x ".join(f"{value:.3g}" for value in read.grid.spacing)
        others = " x ".join(f"{value:.3g}" for value in usual)
        said = f"Its spacing of {own} mm is very unlike the other cases ({others} mm): check the header."
        yield Note("other-spacing", said)


def _verdict(case: Case, notes: Iterable[Note]) -> CaseVerdict:
    found = sorted(notes, key=lambda note: note.verdict != "refused")
    verdict = found[0].verdict if found else "ok"
    return CaseVerdict(case.id, verdict, " ".join(note.message for note in found), tuple(sorted(case.looked_for)))
