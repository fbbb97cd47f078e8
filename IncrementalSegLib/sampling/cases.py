"""A case: where its images and labels lie, and which structures were looked for in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from IncrementalSegLib.errors import CommandRef, DataError, Hint, OptionRef
from IncrementalSegLib.names import tame
from IncrementalSegLib.volumes.notes import Note

IGNORE = "ignore"
"""Label name of voxels in which nobody looked for anything, as in nnU-Net; no structure is called so."""

Notes = dict[str, tuple[Note, ...]]
"""Notes by case, or by the image or table that they are about."""


@dataclass(frozen=True)
class Case:
    """One scan of one patient, as named in a data set; nothing is read yet.

    A case says what was *looked for* in it: a structure that was not looked for is unknown there,
    not background.  Names are kept as :func:`~.names.tame` returns them, whatever the files call them.

    Attributes:
        id: Name of the case, unique in its data set.
        patient: Name of the patient; cases of one patient never fall on two sides of a split.
        images: One file (or DICOM folder) per channel, or one file that holds all channels.
        looked_for: Label names that the annotator looked for; a name without voxels was looked for
            and not found.
        label: Integer label map or ``.seg.nrrd`` with named segments, or ``None``.
        values: Label name -> values in the integer map; empty for ``.seg.nrrd``.  :data:`IGNORE` may be one.
        masks: Label name -> file whose non-zero voxels are that structure.
        complete: ``values`` names every value of the map; else only those that are wanted.
        holds: Names in the files of the case, where they alone say what was looked for: a structure that is not
            among them is unknown.  Empty where the data set itself says what was looked for.
        by_index: Take a label of the image's size voxel by voxel, wherever its header puts it.
        source: Name of its data set, where a step learns from several.
        modality: DICOM's code of its modality, for example ``CT``; empty where the data set does not say.
    """

    id: str
    patient: str
    images: tuple[Path, ...]
    looked_for: frozenset[str]
    label: Path | None = None
    values: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    masks: Mapping[str, Path] = field(default_factory=dict)
    complete: bool = True
    holds: tuple[str, ...] = ()
    by_index: bool = False
    source: str = ""
    modality: str = ""

    def __post_init__(self) -> None:
        values: dict[str, tuple[int, ...]] = {}
        for name, found in self.values.items():
            values[tame(name)] = (*values.get(tame(name), ()), *found)
        tamed = {
            "id": tame(self.id) or "_",
            "patient": tame(self.patient) or "_",
            "looked_for": frozenset(map(tame, self.looked_for)),
            "values": values,
            "masks": {tame(name): path for name, path in self.masks.items()},
        }
        for name, value in tamed.items():
            object.__setattr__(self, name, value)


@dataclass(frozen=True)
class Dataset:
    """Cases that belong together.

    Attributes:
        name: Name of the data set.
        root: Folder or manifest file it was opened from.
        names: Label names that occur anywhere, in the order of their values.
        cases: The cases, sorted by id.
        notes: Doubts about the data set that need no voxel: images without a label, an encoding that was assumed.
    """

    name: str
    root: Path
    names: tuple[str, ...]
    cases: tuple[Case, ...]
    notes: Notes = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", tame(self.name))
        object.__setattr__(self, "names", tuple(dict.fromkeys(map(tame, self.names))))


@contextmanager
def naming(case: Case) -> Iterator[None]:
    """Say which case an error is about and what can be done.

    Raises:
        DataError: The error of the block, with the case.
    """
    try:
        yield
    except DataError as error:
        what = error.what if repr(case.id) in error.what else f"The case {case.id!r} cannot be used: {error.what}"
        todo = error.todo or Hint(
            "Fix it, or exclude it with ", OptionRef("cases"), "; ", CommandRef("check"), " looks at every case."
        )
        raise type(error)(what, error.why, todo) from error
