"""The only way from a case to voxels, and all that a person should know of the cases that were read."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import median

from IncrementalSegLib.errors import CommandRef, DataError, Hint, IncrementalSegError, OptionRef, UnknownNameError
from IncrementalSegLib.sampling.cases import IGNORE, Case, Dataset, Notes
from IncrementalSegLib.types import Json
from IncrementalSegLib.volumes.checks import judge_image, judge_masks, one_line
from IncrementalSegLib.volumes.io import read_volume
from IncrementalSegLib.volumes.labels import ACCEPTED, Mask, read_label
from IncrementalSegLib.volumes.notes import Note, counted, summary
from IncrementalSegLib.volumes.segmentations import UNNAMED, UNWANTED, read_masks
from IncrementalSegLib.volumes.volume import Grid, Volume

_SPACING_RATIO = 3.0
"""A spacing this many times the median of the data set, or this small a part of it, is told."""

MOST = 20
"""Number of cases that represent a large data set before a step."""

_FEWEST = 3
"""Cases from which on one can be unlike the others."""

log = logging.getLogger(__name__)


def read_case(case: Case, notes: list[Note] | None = None) -> tuple[Volume, dict[str, Mask]]:
    """Read the scan of a case and the masks of what was looked for in it.

    Args:
        case: The case.
        notes: What a person should know is appended here; ``None`` sends it to the log.

    Returns:
        The volume, which knows where nobody looked for anything (the label :data:`~.cases.IGNORE`), and
        label name -> ``(D, H, W)`` bool mask on its grid, sorted by name.

    Raises:
        DataError: A file is missing, unreadable or does not fit; the message names the case.
    """
    said: list[Note] = []
    try:
        volume = _scan(case, said)
        masks = _masks(case, volume, said)
    except (DataError, UnknownNameError) as error:
        raise _named(case, error) from error
    if notes is not None:
        notes += said
    for note in said if notes is None else ():
        log.warning("%s: %s", case.id, note.message)
    unlabelled = masks.pop(IGNORE, None)
    return replace(volume, unlabelled=unlabelled), masks


class CaseReader:
    """Read cases one by one, and collect what a person should know of them and of their data set.

    Args:
        dataset: The data set, whose own notes begin the collection.
        strict: A note is an error.
        accept_grid: Take labels of their image's size voxel by voxel, whatever a case says.

    Raises:
        DataError: ``strict``, and the data set has a note.
    """

    def __init__(self, dataset: Dataset | None = None, *, strict: bool = False, accept_grid: bool = False) -> None:
        self._strict, self._accept_grid = strict, accept_grid
        self._of_data: Notes = dict(dataset.notes) if dataset is not None else {}
        self._seen: dict[str, _Seen] = {}
        self.found: dict[str, frozenset[str]] = {}
        """Case -> labels of which it shows at least one voxel, of the cases whose labels :meth:`judge` has read."""
        self._told: set[str] = set()
        if strict:
            self.refuse_notes()

    @property
    def notes(self) -> Notes:
        """Case, image or table -> its notes; only those that have some."""
        found = dict(self._of_data)
        for case, seen in self._seen.items():
            if known := tuple(note for note in seen.notes if note.kind != UNWANTED):
                found[case] = (*found.get(case, ()), *known)
        return found

    @property
    def counts(self) -> Json:
        """Kind of note -> number of cases: what a model may keep, because it names nobody."""
        return {item["kind"]: item["count"] for item in counted(self.notes)}

    def read(self, case: Case) -> tuple[Volume, dict[str, Mask]]:
        """Read a case (:func:`read_case`).

        Raises:
            DataError: It cannot be read, or ``strict`` and it has a note.
        """
        said: list[Note] = []
        volume, masks = read_case(replace(case, by_index=True) if self._accept_grid else case, said)
        self._take(case, said, volume)
        return volume, masks

    def scan(self, case: Case) -> Volume:
        """Read the scan of a case alone.

        Raises:
            DataError: It cannot be read, or ``strict`` and it has a note.
        """
        said: list[Note] = []
        try:
            volume = _scan(case, said)
        except DataError as error:
            raise _named(case, error) from error
        self._take(case, said, volume)
        return volume

    def judge(self, case: Case, labels: bool = True) -> Volume | None:
        """Read a case for its notes; what cannot be read becomes one.

        Returns:
            The scan, or ``None`` where it cannot be read.
        """
        said: list[Note] = []
        volume = None
        try:
            volume = _scan(case, said)
            if labels:
                masks = _masks(case, volume, said)
                self.found[case.id] = frozenset(name for name, mask in masks.items() if name != IGNORE and mask.any())
        except IncrementalSegError as error:
            said.append(Note("refused", one_line(error), "refused"))
        except (OSError, ValueError, RuntimeError, MemoryError, LookupError, TypeError) as error:
            text = f"{type(error).__name__}: {one_line(error)} Export the case again."
            said.append(Note("refused", text, "refused"))
        self._seen[case.id] = _seen(case, said, volume)
        return volume

    def compare(self) -> None:
        """Add what is only seen beside the other cases: axes, channels, spacing, values that few of them have."""
        self._seen = _beside_others(_values_compared(self._seen))

    def finish(self) -> None:
        """Compare the cases, and send one sentence per kind of note to the log.

        Raises:
            DataError: ``strict``, and one is unlike the others.
        """
        self.compare()
        self.tell()
        if self._strict:
            self.refuse_notes()

    def tell(self) -> None:
        """Send one sentence per kind of note to the log, none twice."""
        for sentence in summary(self.notes):
            if sentence not in self._told:
                log.warning("%s", sentence)
                self._told.add(sentence)

    def refuse_notes(self, only: str | None = None) -> None:
        """Refuse the first note, unless a person asked for what it tells.

        Args:
            only: Look at this case alone.

        Raises:
            DataError: There is one.
        """
        for case, found in self.notes.items():
            for note in found:
                if note.kind != ACCEPTED and only in (None, case):
                    raise DataError(
                        f"Case {case!r}: {note.message}",
                        todo=Hint(
                            "With ",
                            OptionRef("strict", True),
                            " every note is an error; ",
                            CommandRef("check"),
                            " lists all.",
                        ),
                    )

    def _take(self, case: Case, said: list[Note], volume: Volume) -> None:
        self._seen[case.id] = _seen(case, said, volume)
        if self._strict:
            self.refuse_notes(case.id)


@dataclass(frozen=True)
class _Seen:
    """Facts on a case that are kept until all are read."""

    notes: tuple[Note, ...]
    grid: Grid | None = None
    channels: int = 0
    named: int = 0


def _seen(case: Case, said: list[Note], volume: Volume | None) -> _Seen:
    if volume is None:
        return _Seen(tuple(said), named=len(case.values))
    return _Seen(tuple(said), volume.grid, volume.channels, len(case.values))


def sample(cases: Sequence[Case], strict: bool = False) -> list[Case]:
    """Return a sample of cases before a step: :data:`MOST` of them, evenly spread; all if ``strict``."""
    if strict or len(cases) <= MOST:
        return list(cases)
    return [cases[round(place * (len(cases) - 1) / (MOST - 1))] for place in range(MOST)]


def _masks(case: Case, volume: Volume, said: list[Note]) -> dict[str, Mask]:
    """Read the masks of a case, with :data:`~.cases.IGNORE` where the data set knows it."""
    names = sorted(case.looked_for | ({IGNORE} & case.values.keys()))
    known = {"complete": case.complete, "by_index": case.by_index}
    masks = read_masks(volume.grid, names, label=case.label, values=case.values, masks=case.masks, notes=said, **known)
    if not case.looked_for:
        if case.label is not None and not names:  # what it declares is unknown, perhaps because it is broken
            read_label(case.label, volume.grid, said, case.by_index)
        said.append(Note("nothing-looked-for", "Nothing was looked for: name its structures, or remove the case."))
    said += judge_masks(volume, {name: mask for name, mask in masks.items() if name != IGNORE})
    return masks


def _scan(case: Case, said: list[Note]) -> Volume:
    volume = read_volume(case.images, said)
    said += judge_image(volume, case.images[0].name)
    return volume


def _named(case: Case, error: DataError | UnknownNameError) -> DataError:
    kind = type(error) if isinstance(error, DataError) else DataError
    return kind(f"Case {case.id!r}: {error.what}", error.why, error.todo)


def _beside_others(seen: dict[str, _Seen]) -> dict[str, _Seen]:
    whole = [(item.grid, item.channels) for item in seen.values() if item.grid is not None]
    if len(whole) < _FEWEST:
        return seen
    planar = Counter(grid.planar for grid, _ in whole).most_common(1)[0][0]
    channels = Counter(count for _, count in whole).most_common(1)[0][0]
    spacings = [sorted(grid.spacing) for grid, _ in whole if grid.planar == planar]
    usual = [median(axis) for axis in zip(*spacings, strict=True)]
    return {
        case: replace(item, notes=tuple(dict.fromkeys((*item.notes, *_odd(item, planar, channels, usual)))))
        for case, item in seen.items()
    }


def _values_compared(seen: dict[str, _Seen]) -> dict[str, _Seen]:
    """Keep a note on values that were not wanted only where most cases lack them; a map may hold other organs.

    Of fewer than three cases only a table that names several values is taken for a whole one.
    """
    held = Counter(
        value for item in seen.values() for note in item.notes if note.kind == UNWANTED for value in note.values
    )
    few = len(seen) < _FEWEST

    def kept(note: Note, item: _Seen) -> list[Note]:
        if note.kind != UNWANTED:
            return [note]
        odd = item.named > 1 if few else any(2 * held[value] <= len(seen) for value in note.values)
        return [replace(note, kind=UNNAMED)] if odd else []

    return {
        case: replace(item, notes=tuple(found for note in item.notes for found in kept(note, item)))
        for case, item in seen.items()
    }


def _odd(read: _Seen, planar: bool, channels: int, usual: list[float]) -> Iterable[Note]:
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
