"""From a JSON schema to the fields of a form; nothing here knows a widget.

A field that a person left alone has no value: a default that was sent would undo what another option implies.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from IncrementalSegLib.errors import OptionError
from IncrementalSegLib.types import Json
from IncrementalSegPanel.Translation import _


@dataclass(frozen=True)
class Field:
    """One option.

    Attributes:
        name: As the library calls it; of one in a group with that before it: ``limits.harm``.
        title: For people.
        kind: ``boolean``, ``integer``, ``number`` or ``string``.
        default: What counts where nothing is given.
        description: What it means.
        choices: Its values, where there are only some.
        least: Smallest value, or ``None``.
        most: Largest value, or ``None``.
        above: The value must exceed this, or ``None``.
        below: The value must be smaller than this, or ``None``.
    """

    name: str
    title: str
    kind: str
    default: Any = None
    description: str = ""
    choices: tuple[Any, ...] = ()
    least: float | None = None
    most: float | None = None
    above: float | None = None
    below: float | None = None

    @classmethod
    def of(cls, name: str, schema: Mapping[str, Any]) -> Field:
        """Read one property of a schema; an optional one is a choice between a type and null."""
        plain: Mapping[str, Any] = next((item for item in schema.get("anyOf", ()) if item.get("type") != "null"), {})
        known = {**schema, **plain}
        choices = known.get("enum", (True, False) if known.get("type") == "boolean" else ())
        return cls(
            name=name,
            title=schema.get("title", name),
            kind=known.get("type", "string"),
            default=schema.get("default"),
            description=_sentence(schema.get("description", "")),
            choices=tuple(choices),
            least=known.get("minimum"),
            most=known.get("maximum"),
            above=known.get("exclusiveMinimum"),
            below=known.get("exclusiveMaximum"),
        )

    @property
    def range(self) -> str:
        """The values that it can have, as words; empty where there are no bounds."""
        parts = [
            _("{} or more").format(_word(self.least)) if self.least is not None else "",
            _("more than {}").format(_word(self.above)) if self.above is not None else "",
            _("at most {}").format(_word(self.most)) if self.most is not None else "",
            _("less than {}").format(_word(self.below)) if self.below is not None else "",
        ]
        return ", ".join(part for part in parts if part)

    def word(self, value: Any) -> str:
        """Return a value as people read it."""
        return _word(value)

    def parse(self, text: str) -> Any:
        """Read what a person typed.

        Raises:
            OptionError: It is no number, or out of bounds.
        """
        if self.kind == "string":
            return text
        try:
            value = int(text) if self.kind == "integer" else _finite(text.replace(",", "."))
        except ValueError:
            wanted = _("a whole number") if self.kind == "integer" else _("a number")
            raise OptionError(_("“{}” is not {}.").format(text, wanted), todo=self.range) from None
        if not self._fits(value):
            raise OptionError(_("{} does not fit: it must be {}.").format(_word(value), self.range))
        return value

    def _fits(self, value: float) -> bool:
        return (
            (self.least is None or value >= self.least)
            and (self.most is None or value <= self.most)
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
        )


def fieldsOf(schema: Json) -> tuple[Field, ...]:
    """Return the options of a JSON schema in its order; of a group each by itself."""
    found: list[Field] = []
    for name, item in schema.get("properties", {}).items():
        group = schema.get("$defs", {}).get(item.get("$ref", "").rpartition("/")[2])
        if group is None:
            found.append(Field.of(name, item))
        else:
            found += [replace(field, name=f"{name}.{field.name}") for field in fieldsOf(group)]
    return tuple(found)


class Answers:
    """The answers that a person changed in a form.

    Attributes:
        values: Option -> value, of those that were changed and can be used.
        faults: Option -> why what was typed cannot be used.
    """

    def __init__(self) -> None:
        self.values: Json = {}
        self.faults: dict[str, str] = {}

    @property
    def arguments(self) -> Json:
        """The values as the library takes them, groups as objects."""
        found: Json = {}
        for name, value in self.values.items():
            group, _dot, own = name.rpartition(".")
            (found.setdefault(group, {}) if group else found)[own] = value
        return found

    def changed(self, values: Json) -> Answers:
        """Return answers with other values; a form shows them anew."""
        found = Answers()
        found.values = self.values | values
        found.faults = {name: fault for name, fault in self.faults.items() if name not in values}
        return found

    def choose(self, field: Field, value: Any) -> None:
        """Take a value that is one of the choices."""
        self.values[field.name] = value
        self.faults.pop(field.name, None)

    def type(self, field: Field, text: str) -> None:
        """Take what was typed; nothing means the default."""
        self.leave(field)
        if not text.strip():
            return
        try:
            self.values[field.name] = field.parse(text.strip())
        except OptionError as error:
            self.faults[field.name] = str(error)

    def leave(self, field: Field) -> None:
        """Go back to the default."""
        self.values.pop(field.name, None)
        self.faults.pop(field.name, None)


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def _sentence(text: str) -> str:
    return " ".join(text.replace("``", "").split())


def _word(value: Any) -> str:
    if value is None:
        return _("automatic")
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    return f"{value:g}" if isinstance(value, float) else str(value)
