"""model.json: name and current version of a model; the only file of a model that changes."""

from __future__ import annotations

import uuid
from dataclasses import asdict, dataclass
from pathlib import Path

from IncrementalSegLib.store import atomic
from IncrementalSegLib.store.manifest import FORMAT, check_format
from IncrementalSegLib.store.record import now

MODEL = "model.json"


@dataclass(frozen=True)
class ModelState:
    """What model.json holds.

    Attributes:
        name: Name of the model.
        id: Uuid as 32 hexadecimal digits.
        created: UTC, ISO 8601.
        current: Number of the version in use, 0 while there is none.
        accepted: Numbers of all versions that were ever made current; a version that is not among them
            is a candidate.
    """

    name: str
    id: str
    created: str
    current: int = 0
    accepted: tuple[int, ...] = ()

    @classmethod
    def create(cls, name: str) -> ModelState:
        """Return the state of a model without versions."""
        return cls(name, uuid.uuid4().hex, now())

    @classmethod
    def read(cls, folder: Path) -> ModelState:
        """Read the state of the model in ``folder``.

        Raises:
            ModelError: The file is missing, damaged or of a newer format.
        """
        path = folder / MODEL
        data = atomic.read_json(path)
        check_format(data, path)
        accepted = data.get("accepted")
        for name, fits in (
            *((name, isinstance(data.get(name), str)) for name in ("name", "id", "created")),
            ("current", type(data.get("current")) is int),
            ("accepted", isinstance(accepted, list) and all(type(item) is int for item in accepted)),
        ):
            if not fits:
                raise atomic.damaged(path, f"{name!r} is {data.get(name)!r}")
        return cls(data["name"], data["id"], data["created"], data["current"], tuple(data["accepted"]))

    def write(self, folder: Path) -> None:
        """Replace model.json in one go.

        Raises:
            ModelError: It cannot be written; the old one is still there.
        """
        atomic.write_json(folder / MODEL, {"format": FORMAT, **asdict(self)})
