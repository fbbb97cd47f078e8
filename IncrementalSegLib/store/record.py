"""The record of a version: how it came about, from what, and what it can do."""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal, cast

from IncrementalSegLib.errors import ModelError
from IncrementalSegLib.names import name_key
from IncrementalSegLib.structures import Structure, StructureList
from IncrementalSegLib.types import Json

Kind = Literal["step", "edit"]


def now() -> str:
    """Return the time in UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def library_versions() -> Json:
    """Return the versions of Python and of the libraries that a result depends on."""
    package = import_module(__name__.partition(".")[0])  # by its name: this file needs nothing of what it offers
    found: Json = {"python": platform.python_version(), "incrementalseg": package.__version__}
    for name in ("torch", "monai", "numpy", "scipy", "SimpleITK", "safetensors"):
        try:
            found[name.lower()] = version(name)
        except PackageNotFoundError:
            found[name.lower()] = None  # Slicer's SimpleITK has no metadata
    return found


@dataclass(frozen=True, kw_only=True)
class VersionRecord:
    """One version of a model.

    Attributes:
        number: From 1; 0 until it is written.
        parent: The version it was made from, ``None`` for the first.
        kind: ``"step"`` (trained) or ``"edit"`` (rename, removal, exemplars pinned or banned).
        created: UTC, ISO 8601.
        accepted: Whether it became current, then or later, and was not rejected since.
        held_back_by: Names of the structures for which the retention gate held it back.
        output: Form of the network's output: ``"heads"``, ``"classes"``, ``"dynamic"`` or ``"embedding"``.
        structures: What it can outline.
        architecture: What rebuilds the network without weights.
        preprocessing: Spacing, orientation and normalisation, fixed at the first step.
        step: Method, options, seed, preset, optimiser steps done, cases for training, validation and
            retention with the data's fingerprint, structures taught or improved, exemplars kept; for
            an edit, what was changed.
        libraries: Versions of what it was made with.
        scores: Of the step's validation and retention.
        seconds: Duration.
    """

    number: int = 0
    parent: int | None = None
    kind: Kind = "step"
    created: str = field(default_factory=now)
    accepted: bool = True
    held_back_by: tuple[str, ...] = ()
    output: str = "heads"
    structures: StructureList
    architecture: Json
    preprocessing: Json
    step: Json = field(default_factory=dict)
    libraries: Json = field(default_factory=library_versions)
    scores: Json = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def outputs(self) -> tuple[str, ...]:
        """Forms of output that methods which can continue the version make, its own first.

        Heads can stand beside a softmax.  Then only they continue it: a method of the softmax would not hold them.
        """
        if self.output != "classes":
            return (self.output,)
        return ("heads",) if self.architecture.get("heads") else (self.output, "heads")

    def to_json(self) -> Json:
        """Return the record as a JSON object."""
        data = {name: getattr(self, name) for name in _FIELDS}
        data["held_back_by"] = list(self.held_back_by)
        data["structures"] = [item.to_json() for item in self.structures]
        return data

    @classmethod
    def from_json(cls, data: Json) -> VersionRecord:
        """Rebuild a record from :meth:`to_json`; fields it does not know are left out.

        Raises:
            ModelError: A field is missing or has another type; the message names it.
        """
        values: dict[str, Any] = {}
        for name, (expected, fits) in _FIELDS.items():
            if name not in data:
                raise ModelError(f"The record of the version lacks {name!r}.", todo=_TODO)
            if not fits(data[name]):
                raise ModelError(
                    f"{name!r} in the record of the version is {data[name]!r}, not {expected}.", todo=_TODO
                )
            values[name] = data[name]
        values["held_back_by"] = tuple(values["held_back_by"])
        values["structures"] = StructureList(tuple(Structure.from_json(item) for item in values["structures"]))
        values["seconds"] = float(values["seconds"])
        return cls(**values)


_TODO = "Use another version of the model, or update IncrementalSeg if a newer one wrote it."


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _text(value: object) -> bool:
    return isinstance(value, str)


def _object(value: object) -> bool:
    return isinstance(value, dict)


def _seconds(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < float("inf")


def _names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _structure(value: object) -> bool:
    if not isinstance(value, dict):
        return False
    color = value.get("color")
    return (
        all(_text(value.get(name)) and value[name] for name in ("id", "name"))
        and _whole(value.get("step"))
        and isinstance(color, list)
        and len(color) == 3
        and all(_whole(part) and part <= 255 for part in color)
        and isinstance(value.get("terminology"), (str, type(None)))
    )


def _structures(value: object) -> bool:
    if not isinstance(value, list) or not all(_structure(item) for item in value):
        return False
    items = cast(list[Json], value)
    ids, names = {item["id"] for item in items}, {name_key(item["name"]) for item in items}
    return len(ids) == len(names) == len(items)


_FIELDS: dict[str, tuple[str, Callable[[object], bool]]] = {
    "number": ("a whole number", _whole),
    "parent": ("a whole number or null", lambda value: value is None or _whole(value)),
    "kind": ("'step' or 'edit'", lambda value: value in ("step", "edit")),
    "created": ("a text", _text),
    "accepted": ("true or false", lambda value: isinstance(value, bool)),
    "held_back_by": ("a list of names", _names),
    "output": ("a text", _text),
    "structures": ("a list of structures that differ in id and name", _structures),
    "architecture": ("an object", _object),
    "preprocessing": ("an object", _object),
    "step": ("an object", _object),
    "libraries": ("an object", _object),
    "scores": ("an object", _object),
    "seconds": ("a number of seconds", _seconds),
}
