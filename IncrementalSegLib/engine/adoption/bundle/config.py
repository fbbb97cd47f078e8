"""The configuration of a MONAI bundle, read and never executed.

References (``@key#part``) are followed, and the few expressions that :mod:`.expressions` understands have a value.  Any
other stays an :class:`~.expressions.Expression`, which no form accepts.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from IncrementalSegLib.engine.adoption.bundle.expressions import REFERENCE, Expression, evaluated
from IncrementalSegLib.engine.adoption.refusal import refused
from IncrementalSegLib.errors import ModelError
from IncrementalSegLib.files import read_json
from IncrementalSegLib.types import Json

_MOST_BYTES = 5_000_000
_MOST_VALUES = 100_000  # looked at in one configuration: references to references grow without end
_DEEPEST = 32


class Config:
    """A configuration.

    Args:
        document: What its file holds.
        path: The file, for messages.
    """

    def __init__(self, document: Json, path: Path) -> None:
        self.path = path
        self._document = document
        self._left = _MOST_VALUES

    def value(self, key: str) -> Any:
        """Return what lies at a key such as ``network_def#channels``, with references followed; ``None``: nothing does.

        Raises:
            ModelError: It refers to something that is not there, or to itself.
        """
        try:
            return self._at(key, 0)
        except KeyError:
            return None

    def all_of(self, target: str) -> list[str]:
        """Return the keys of all parts whose ``_target_`` ends with a name."""
        found = []

        def look(part: Any, key: str, depth: int) -> None:
            self._count(depth)
            if isinstance(part, dict):
                if str(part.get("_target_", "")).rpartition(".")[2] == target:
                    found.append(key)
                for name, inner in part.items():
                    look(inner, f"{key}#{name}" if key else str(name), depth + 1)
            elif isinstance(part, list):
                for number, inner in enumerate(part):
                    look(inner, f"{key}#{number}", depth + 1)

        look(self._document, "", 0)
        return found

    def refused(self, reason: str, why: str = "", todo: str = "") -> ModelError:
        """Return the error for something in the configuration."""
        return refused(
            self.path, reason, why or "No configuration is executed; only what is described here is known.", todo
        )

    def _at(self, key: str, depth: int) -> Any:
        self._count(depth)
        part: Any = self._document
        for name in key.split("#"):
            if isinstance(part, str):
                part = self._resolved(part, depth + 1)
            if isinstance(part, dict) and name in part:
                part = part[name]
            elif isinstance(part, list) and (number := _number(name)) < len(part):
                part = part[number]
            else:
                raise KeyError(key)
        return self._resolved(part, depth + 1)

    def _resolved(self, part: Any, depth: int) -> Any:
        self._count(depth)
        if isinstance(part, dict):
            return {name: self._resolved(inner, depth + 1) for name, inner in part.items()}
        if isinstance(part, list):
            return [self._resolved(inner, depth + 1) for inner in part]
        if not isinstance(part, str) or part[:1] not in ("@", "$", "%"):
            return part
        if part[0] == "@":
            return self._referred(part, depth) if REFERENCE.fullmatch(part) else Expression(part)
        if part[0] == "%":
            return Expression(part)
        return evaluated(part, lambda reference: self._referred(reference, depth))

    def _referred(self, reference: str, depth: int) -> Any:
        key = reference[1:].replace("::", "#")
        try:
            return self._at(key, depth + 1)
        except KeyError:
            raise self.refused(f"it refers to {key[:100]}, which is not there") from None

    def _count(self, depth: int) -> None:
        self._left -= 1
        if depth > _DEEPEST or self._left < 0:
            raise self.refused("it is nested too deep, refers to itself, or is too large")


def _number(name: str) -> int:
    """Return a place in a list, or one beyond every list."""
    return int(name) if re.fullmatch(r"[0-9]{1,6}", name) else _MOST_BYTES


def read_config(path: Path) -> Json:
    """Read a JSON or YAML file of a bundle as plain values.

    Raises:
        ModelError: It is too large, no such file, or one with anchors or types of Python.
    """
    if path.stat().st_size > _MOST_BYTES:
        raise refused(path, f"it has {path.stat().st_size} bytes; {_MOST_BYTES} are allowed")
    try:
        document = read_json(path) if path.suffix == ".json" else _read_yaml(path)
    except (ModelError, ValueError, RecursionError) as error:
        said = error.what if isinstance(error, ModelError) else " ".join(str(error).split())[:300]
        raise refused(path, "it cannot be read", said, "Copy it again from where the bundle was.") from error
    if not isinstance(document, dict):
        raise refused(path, f"it holds a {type(document).__name__} and no keys")
    return document


def _read_yaml(path: Path) -> Any:
    try:
        import yaml
    except ImportError as error:
        raise ValueError('PyYAML is not installed: pip install "incrementalseg[bundle]"') from error
    text = path.read_text("utf-8")
    try:
        depth = 0
        for event in yaml.parse(text, yaml.SafeLoader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if isinstance(event, yaml.AliasEvent):
                raise ValueError("it has YAML aliases, which can grow without end")
            if depth > _DEEPEST:
                raise ValueError("it is nested too deep")
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error
