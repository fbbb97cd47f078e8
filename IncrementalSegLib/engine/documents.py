"""The JSON documents of a version: their forms, and the one way to read them.

The forms are also the allow-list of packages, so that a key which may not leave this computer is not listed here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, FailFast, Field, JsonValue, StringConstraints, ValidationError

from IncrementalSegLib.errors import ModelError
from IncrementalSegLib.exemplars.memory import Exemplar
from IncrementalSegLib.names import LONGEST, tame
from IncrementalSegLib.networks.config import BranchConfig, SegmenterConfig
from IncrementalSegLib.preprocessing.plan import Plan
from IncrementalSegLib.store.format import FORM_ERRORS
from IncrementalSegLib.store.reader import ModelReader
from IncrementalSegLib.store.record import VersionRecord
from IncrementalSegLib.types import Json

_Uuid = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
_Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
_Count = Annotated[int, Field(ge=0)]
_Place = Annotated[str, StringConstraints(pattern=r"^(0|[1-9][0-9]{0,3})$")]
_Fraction = Annotated[float, Field(ge=0, le=1)]
_Number = Annotated[float, Field(ge=-1e12, le=1e12)]
_Positive = Annotated[float, Field(gt=0, le=1e12)]
_Byte = Annotated[int, Field(ge=0, le=255)]
_Text = Annotated[str, StringConstraints(max_length=1000)]
_EmbeddingSource = Annotated[
    str, StringConstraints(pattern=r"^(seeded|table [0-9a-f]{64}|wordllama [0-9][0-9a-z.+]{0,30})$")
]


def _tamed(value: object) -> object:
    return tame(value) or "_" if isinstance(value, str) and len(value) <= LONGEST else value


_Called = Annotated[str, BeforeValidator(_tamed), StringConstraints(max_length=LONGEST)]
"""The name of whatever has one; brought to the form in which names are kept."""

_Name = Annotated[_Called, StringConstraints(pattern=r"^[^,=]*$")]

T = TypeVar("T")
_Many = Annotated[list[T], FailFast()]
"""A list whose first wrong item ends the check: every error takes kilobytes."""


class _CaseEntry(BaseModel):
    """A case of a step, known by the content of its files; without any path."""

    case: _Called
    patient: _Called
    sha256: _Sha256
    looked_for: dict[_Uuid, _Called]
    labels_sha256: _Sha256 | None = None
    values: dict[_Called, _Many[int]] = {}


class _Region(BaseModel):
    """A structure of an adopted model that may overlap others: its labels, and its value in label maps."""

    labels: _Many[_Count]
    painted: _Count


class _Origin(BaseModel):
    """Where an adopted model comes from."""

    program: _Called
    folder: _Called
    configuration: _Called
    trainer: _Called = ""
    folds: _Many[_Called] = []
    checkpoint: _Called
    epochs: _Count | None = None
    channels: _Many[_Called]
    reader: _Called = ""
    file_ending: _Called = ""
    regions: dict[_Uuid, _Region] = {}
    license: Annotated[str, StringConstraints(max_length=100_000)] = ""


class _StepEntry(BaseModel):
    """Record of a step; names of data sets and devices are not exported."""

    number: _Count
    method: _Called
    options: dict[str, JsonValue] = {}
    optimiser_steps: _Count | None = None
    planned_steps: _Count | None = None
    best_step: _Count | None = None
    taught: _Many[_Uuid]
    improved: _Many[_Uuid] = []
    seed: int | None = None
    preset: _Called | None = None
    batch: _Count | None = None
    learning_rate: float | None = None
    exemplars: _Called | None = None
    precision: _Called | None = None
    training: _Many[_CaseEntry]
    held_out: _Many[_CaseEntry]
    origin: _Origin | None = None


class _EditEntry(BaseModel):
    """Record of an edit."""

    action: _Called
    structure: _Uuid | None = None
    old: _Called | None = None
    new: _Called | None = None
    total: _Count | None = None
    method: _Called | None = None


class _Structure(BaseModel):
    id: _Uuid
    name: _Name
    step: _Count
    color: tuple[_Byte, _Byte, _Byte]
    terminology: _Text | None


class _Score(BaseModel):
    validation_dice: _Fraction | None = None
    cases: _Count = 0


class _TextCode(BaseModel):
    source: _EmbeddingSource
    row: _Count | None = None
    residual: _Fraction | None = None


class _Architecture(BaseModel):
    config: SegmenterConfig
    trunks: _Count
    trunk_of: dict[_Uuid, _Count]
    branches: dict[_Place, BranchConfig] = {}
    heads: list[_Uuid] = []
    output: dict[_Uuid, _TextCode] = {}
    tasks: bool = False


class _RecordDocument(BaseModel):
    """The record of the version; what it came from and whether it was in use is nothing to others."""

    number: _Count
    kind: Literal["step", "edit"]
    created: _Text
    held_back_by: _Many[_Called]
    output: _Called
    structures: Annotated[list[_Structure], FailFast(), Field(min_length=1, max_length=512)]
    architecture: _Architecture
    preprocessing: Plan
    step: _StepEntry | _EditEntry
    libraries: dict[_Text, _Text | None]
    scores: dict[_Uuid, _Score]
    seconds: Annotated[float, Field(ge=0)]


class _History(BaseModel):
    steps: _Many[_StepEntry] = []


class _Prototype(BaseModel):
    count: _Count
    patients: _Count
    layer: _Called


class _Prototypes(BaseModel):
    prototypes: dict[str, _Prototype]


class _Memory(BaseModel):
    method: dict[str, JsonValue] = {}
    voxel_counts: dict[_Uuid, tuple[_Count, _Count]] = {}


class _Exemplars(BaseModel):
    exemplars: _Many[Exemplar]
    outlined: dict[str, _Many[_Uuid]]
    budget: _Count | None = None


class _Spread(BaseModel):
    mean: _Many[_Number]
    deviation: _Many[_Positive]
    limit: _Positive


class _Shape(BaseModel):
    mean: list[_Number]
    covariance: list[_Number]
    limit: _Positive


class _Domain(BaseModel):
    scans: _Count
    shape: _Shape
    spreads: dict[str, _Spread]
    unit: _Positive
    spacing: _Many[tuple[_Positive, _Positive]]
    extent: _Many[tuple[_Positive, _Positive]]


class _Group(BaseModel):
    step: _Count
    structures: _Many[_Uuid]
    domain: _Domain


class _TrainingDomain(BaseModel):
    groups: _Many[_Group] = []


class _Card(BaseModel):
    name: Annotated[str, BeforeValidator(_tamed)] = ""
    license: Annotated[str, StringConstraints(max_length=100_000)] = ""


FORMS: dict[str, type[BaseModel]] = {
    "record": _RecordDocument,
    "history": _History,
    "prototypes": _Prototypes,
    "memory": _Memory,
    "exemplars": _Exemplars,
    "domain": _TrainingDomain,
    "card": _Card,
}
"""Document -> its form."""


def read_document(folder: ModelReader, kind: str, number: int | None, parse: Callable[[Json], T]) -> T:
    """Read one document of a version, empty where it keeps none, and check its form.

    Args:
        folder: The model.
        kind: For example ``history``; see :data:`FORMS`.
        number: Of the version; ``None``: the current one.
        parse: Makes of the document what is returned.

    Raises:
        ModelError: It is missing, damaged, or has a different form from the one that this program writes.
    """
    document = folder.document(kind, number)
    with understood(f"The {kind} of version {number or folder.current} of {folder.name}"):
        if document and kind in FORMS:
            FORMS[kind].model_validate(document)
        return parse(document)


def plan_of(record: VersionRecord) -> Plan:
    """Return the plan of a version.

    Raises:
        ModelError: Its record has a different form from the one that this program writes.
    """
    with understood(f"The preprocessing of version {record.number}"):
        return Plan.model_validate(record.preprocessing)


@contextmanager
def understood(what: str) -> Iterator[None]:
    """Turn what an unknown form raises while it is read into a sentence.

    Args:
        what: What is read, for example ``The history of version 3 of shoulder``.

    Raises:
        ModelError: It has a different form from the one that this program writes.
    """
    try:
        yield
    except FORM_ERRORS as error:
        raise ModelError(
            f"{what} has a different form from the one that this program writes ({_fault(error)}).",
            "Another version of IncrementalSeg may have written it.",
            "Update IncrementalSeg, or use another version of the model.",
        ) from error


def _fault(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg'].lower()}"[:200]
    return f"{error} is missing" if isinstance(error, KeyError) else " ".join(str(error).split())[:200]
