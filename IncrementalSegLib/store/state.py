"""model.json: name of a model and standing of its versions; the only file of a model that changes."""

from __future__ import annotations

import uuid
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from IncrementalSegLib.files import damaged, read_json, write_json
from IncrementalSegLib.store.format import FORMAT, require_format
from IncrementalSegLib.store.record import now

MODEL = "model.json"

Status = Literal["current", "accepted", "candidate", "rejected"]
"""Where a version stands: in use, in use before, not decided yet, or not to be used."""


@dataclass(frozen=True)
class ModelState:
    """Content of model.json.

    Attributes:
        name: Name of the model.
        id: Uuid as 32 hexadecimal digits.
        created: UTC, ISO 8601.
        current: Number of the version in use, 0 while there is none.
        accepted: Numbers of the versions that were made current and not rejected since.
        rejected: Numbers of the versions that are not to be used; one that is in neither list is a candidate.
    """

    name: str
    id: str
    created: str
    current: int = 0
    accepted: tuple[int, ...] = ()
    rejected: tuple[int, ...] = ()

    @classmethod
    def create(cls, name: str) -> ModelState:
        """Return the state of a model without versions."""
        return cls(name, uuid.uuid4().hex, now())

    @classmethod
    def read(cls, folder: Path) -> ModelState:
        """Read the state of the model in ``folder``.

        Raises:
            ModelError: The file is missing, damaged or of another format.
        """
        path = folder / MODEL
        data = read_json(path)
        require_format(data, path)
        for name, fits in (
            *((name, isinstance(data.get(name), str)) for name in ("name", "id", "created")),
            ("current", type(data.get("current")) is int),
            *((name, _numbers(data.get(name))) for name in ("accepted", "rejected")),
        ):
            if not fits:
                raise damaged(path, f"{name!r} is {data.get(name)!r}")
        accepted, rejected = tuple(data["accepted"]), tuple(data["rejected"])
        return cls(
            name=data["name"],
            id=data["id"],
            created=data["created"],
            current=data["current"],
            accepted=accepted,
            rejected=rejected,
        )

    def status(self, number: int) -> Status:
        """Return where a version stands."""
        if number == self.current:
            return "current"
        if number in self.rejected:
            return "rejected"
        return "accepted" if number in self.accepted else "candidate"

    def accepting(self, number: int) -> ModelState:
        """Return the state with this version in use."""
        accepted = tuple(sorted({*self.accepted, number}))
        return replace(self, current=number, accepted=accepted, rejected=_without(self.rejected, number))

    def rejecting(self, number: int) -> ModelState:
        """Return the state with this version marked as not to be used."""
        rejected = tuple(sorted({*self.rejected, number}))
        return replace(self, accepted=_without(self.accepted, number), rejected=rejected)

    def write(self, folder: Path) -> None:
        """Replace model.json in one go.

        Raises:
            ModelError: It cannot be written; the old one is still there.
        """
        write_json(folder / MODEL, {"format": FORMAT, **asdict(self)})


def _numbers(value: object) -> bool:
    return isinstance(value, list) and all(type(item) is int for item in value)


def _without(numbers: tuple[int, ...], number: int) -> tuple[int, ...]:
    return tuple(item for item in numbers if item != number)
