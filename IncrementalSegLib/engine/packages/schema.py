"""What each document of a package may hold: an allow-list for what leaves this computer and for what comes in.

Keys that are not listed here are dropped on both ways; so no path of this computer leaves it, and nothing that
was not checked is ever written.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, FailFast, Field, JsonValue, StringConstraints

from IncrementalSegLib.exemplars.memory import Exemplar
from IncrementalSegLib.names import LONGEST, plain, tame
from IncrementalSegLib.networks.config import SegmenterConfig
from IncrementalSegLib.preprocessing.plan import Plan
from IncrementalSegLib.types import Json

_Uuid = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
_Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
_Count = Annotated[int, Field(ge=0)]
_Fraction = Annotated[float, Field(ge=0, le=1)]
_Number = Annotated[float, Field(ge=-1e12, le=1e12)]
_Positive = Annotated[float, Field(gt=0, le=1e12)]
_Byte = Annotated[int, Field(ge=0, le=255)]
_Text = Annotated[str, StringConstraints(max_length=1000)]


def _tamed(value: object) -> object:
    return tame(value) or "_" if isinstance(value, str) and len(value) <= LONGEST else value


_Called = Annotated[str, BeforeValidator(_tamed), StringConstraints(max_length=LONGEST)]
"""The name of whatever has one; brought to the form in which names are kept."""

_Name = Annotated[_Called, StringConstraints(pattern=r"^[^,=]*$")]

T = TypeVar("T")
_Many = Annotated[list[T], FailFast()]
"""A list whose first wrong item ends the check: every error takes kilobytes."""


class CaseEntry(BaseModel):
    """A case of a step, known by the content of its files; without any path."""

    case: _Called
    patient: _Called
    sha256: _Sha256
    looked_for: dict[_Uuid, _Called]
    labels_sha256: _Sha256 | None = None
    values: dict[_Called, _Many[int]] = {}


class StepEntry(BaseModel):
    """What a step did; names of data sets and devices stay at home."""

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
    training: _Many[CaseEntry]
    set_aside: _Many[CaseEntry]


class EditEntry(BaseModel):
    """What an edit changed."""

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


class _Architecture(BaseModel):
    config: SegmenterConfig
    trunks: _Count
    trunk_of: dict[_Uuid, _Count]


class RecordDocument(BaseModel):
    """The record of the version; what it came from and whether it was in use is nothing to others."""

    number: _Count
    kind: Literal["step", "edit"]
    created: _Text
    held_back_by: _Many[_Called]
    output: _Called
    structures: Annotated[list[_Structure], FailFast(), Field(min_length=1, max_length=200)]
    architecture: _Architecture
    preprocessing: Plan
    step: StepEntry | EditEntry
    libraries: dict[_Text, _Text | None]
    scores: dict[_Uuid, _Score]
    seconds: Annotated[float, Field(ge=0)]


class _History(BaseModel):
    steps: _Many[StepEntry] = []


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


class _Taught(BaseModel):
    step: _Count
    structures: _Many[_Uuid]
    domain: _Domain


class _Seen(BaseModel):
    taught: _Many[_Taught] = []


class _Card(BaseModel):
    name: Annotated[str, BeforeValidator(_tamed)] = ""
    license: Annotated[str, StringConstraints(max_length=100_000)] = ""


SCHEMAS: dict[str, type[BaseModel]] = {
    "record": RecordDocument,
    "history": _History,
    "prototypes": _Prototypes,
    "memory": _Memory,
    "exemplars": _Exemplars,
    "domain": _Seen,
    "card": _Card,
}
"""Document -> what it may hold."""


def allowed(kind: str, document: Json) -> Json:
    """Return what a package may hold of one document, with every value of its type.

    Raises:
        pydantic.ValidationError: Something is missing or of another type.
    """
    return SCHEMAS[kind].model_validate(document).model_dump(mode="json", exclude_unset=True)


def plain_texts(item: Any) -> Any:
    """Return a document whose texts and keys hold nothing that steers or deceives what shows them."""
    if isinstance(item, dict):
        return {plain(str(key)): plain_texts(part) for key, part in item.items()}
    if isinstance(item, list | tuple):
        return [plain_texts(part) for part in item]
    return plain(item) if isinstance(item, str) else item


def pseudonymised(documents: dict[str, Json]) -> dict[str, Json]:
    """Return the documents with cases and patients numbered instead of named, the same number for the same name.

    Args:
        documents: Allowed documents, with ``history``, ``exemplars`` and ``record``.
    """
    numbers: dict[str, dict[str, str]] = {"case": {}, "patient": {}}

    def number(kind: str, name: str) -> str:
        known = numbers[kind]
        return known.setdefault(name, f"{kind} {len(known) + 1}")

    def renamed(item: Any) -> Any:
        if isinstance(item, list):
            return [renamed(part) for part in item]
        if not isinstance(item, dict):
            return item
        if set(numbers) <= set(item):
            return item | {kind: number(kind, item[kind]) for kind in numbers}
        return {key: renamed(part) for key, part in item.items()}

    order = ("history", "exemplars", "record")  # the same numbers whether or not exemplars are included
    return documents | {kind: renamed(documents[kind]) for kind in order}
