"""What each document of a package may hold: an allow-list for what leaves this computer and for what comes in.

Keys that are not listed here are dropped on both ways; so no path of this computer leaves it, and nothing that
was not checked is ever written.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, JsonValue, StringConstraints

from IncrementalSegLib.exemplars.memory import Exemplar
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
_Name = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^,=\n]*$")]


class CaseEntry(BaseModel):
    """A case of a step, known by the content of its files; without any path."""

    case: str
    patient: str
    sha256: _Sha256
    looked_for: dict[_Uuid, str]
    labels_sha256: _Sha256 | None = None
    values: dict[str, list[int]] = {}


class StepEntry(BaseModel):
    """What a step did; names of data sets and devices stay at home."""

    number: _Count
    method: str
    options: dict[str, JsonValue] = {}
    optimiser_steps: _Count | None = None
    planned_steps: _Count | None = None
    best_step: _Count | None = None
    taught: list[_Uuid]
    improved: list[_Uuid] = []
    seed: int | None = None
    preset: str | None = None
    batch: _Count | None = None
    learning_rate: float | None = None
    exemplars: str | None = None
    precision: str | None = None
    training: list[CaseEntry]
    set_aside: list[CaseEntry]


class EditEntry(BaseModel):
    """What an edit changed."""

    action: str
    structure: _Uuid | None = None
    old: str | None = None
    new: str | None = None
    exemplar: str | None = None
    total: _Count | None = None
    method: str | None = None


class _Structure(BaseModel):
    id: _Uuid
    name: _Name
    step: _Count
    color: tuple[_Byte, _Byte, _Byte]
    terminology: str | None


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
    created: str
    held_back_by: list[str]
    output: str
    structures: Annotated[list[_Structure], Field(min_length=1)]
    architecture: _Architecture
    preprocessing: Plan
    step: StepEntry | EditEntry
    libraries: dict[str, str | None]
    scores: dict[_Uuid, _Score]
    seconds: Annotated[float, Field(ge=0)]


class _History(BaseModel):
    steps: list[StepEntry] = []


class _Prototype(BaseModel):
    count: _Count
    patients: _Count
    layer: str


class _Prototypes(BaseModel):
    prototypes: dict[str, _Prototype]


class _Memory(BaseModel):
    method: dict[str, JsonValue] = {}
    voxel_counts: dict[_Uuid, tuple[_Count, _Count]] = {}


class _Exemplars(BaseModel):
    exemplars: list[Exemplar]
    outlined: dict[str, list[_Uuid]]
    budget: _Count | None = None


class _Spread(BaseModel):
    mean: list[_Number]
    deviation: list[_Positive]
    limit: _Positive


class _Domain(BaseModel):
    scans: _Count
    spreads: dict[str, _Spread]
    unit: _Positive
    spacing: list[tuple[_Positive, _Positive]]
    extent: list[tuple[_Positive, _Positive]]


class _Taught(BaseModel):
    step: _Count
    structures: list[_Uuid]
    domain: _Domain


class _Seen(BaseModel):
    taught: list[_Taught] = []


class _Card(BaseModel):
    name: str = ""
    license: str = ""


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
