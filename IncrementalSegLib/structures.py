"""Structures: what a person wants outlined, known by uuid, and the list of a model."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from IncrementalSegLib.errors import ModelError, OptionError, UnknownNameError
from IncrementalSegLib.names import checked, name_key, tame
from IncrementalSegLib.terminology import color_of, terminology_of
from IncrementalSegLib.types import Json, StructureId

BACKGROUND = "background"
"""Name for voxels in which none of the structures lies, in strokes and where structures in question are listed."""


@dataclass(frozen=True)
class Structure:
    """One structure of a model.

    Attributes:
        id: Uuid as 32 hexadecimal digits; never changes and is never reused.
        name: The name that people see; unique in a model as :func:`name_key` compares.
        step: Number of the step that taught it first, from 1.
        color: Red, green, blue, each 0..255.
        terminology: Slicer's serialised terminology entry, or ``None``.
    """

    id: StructureId
    name: str
    step: int
    color: tuple[int, int, int]
    terminology: str | None = None

    @classmethod
    def create(cls, name: str, step: int) -> Structure:
        """Make a structure with a fresh uuid and, where the name is known, its terminology and colour."""
        return cls(uuid.uuid4().hex, name, step, color_of(name), terminology_of(name))

    def to_json(self) -> Json:
        """Return the structure as a JSON object."""
        return {
            "id": self.id,
            "name": self.name,
            "step": self.step,
            "color": list(self.color),
            "terminology": self.terminology,
        }

    @classmethod
    def from_json(cls, data: Json) -> Structure:
        """Rebuild a structure from :meth:`to_json`."""
        red, green, blue = data["color"]
        return cls(data["id"], data["name"], data["step"], (red, green, blue), data.get("terminology"))


@dataclass(frozen=True)
class StructureList:
    """The structures of a model in the order in which they were learned."""

    items: tuple[Structure, ...] = ()

    def __iter__(self) -> Iterator[Structure]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and any(name_key(item.name) == name_key(name) for item in self.items)

    @property
    def ids(self) -> tuple[StructureId, ...]:
        """The uuids, in order."""
        return tuple(item.id for item in self.items)

    @property
    def names(self) -> tuple[str, ...]:
        """The names, in order."""
        return tuple(item.name for item in self.items)

    def named(self, name: str) -> Structure:
        """Return the structure called ``name``, as :func:`name_key` compares.

        Raises:
            UnknownNameError: The model does not know it.
        """
        for item in self.items:
            if name_key(item.name) == name_key(name):
                return item
        raise UnknownNameError("structure", name, self.names)

    def by_id(self, structure_id: StructureId) -> Structure:
        """Return the structure with that uuid.

        Raises:
            ModelError: No structure has it.
        """
        for item in self.items:
            if item.id == structure_id:
                return item
        raise ModelError(f"No structure of the model has the id {structure_id}.", todo="The model folder is damaged.")

    def select(self, names: Iterable[str] | None) -> StructureList:
        """Return the named structures in the list's order; ``None`` selects all."""
        if names is None:
            return self
        wanted = {self.named(name).id for name in names}
        return StructureList(tuple(item for item in self.items if item.id in wanted))

    def with_new(self, structures: Iterable[Structure]) -> StructureList:
        """Return the list with ``structures`` appended."""
        return StructureList((*self.items, *structures))

    def renamed(self, old: str, new: str) -> StructureList:
        """Return the list with one structure renamed; its uuid stays.

        Raises:
            ModelError: The new name is taken.
        """
        target = self.named(old)
        if new in self and self.named(new).id != target.id:
            raise ModelError(f"The model already has a structure called {new!r}.", todo="Choose another name.")
        return StructureList(tuple(replace(item, name=new) if item is target else item for item in self.items))

    def without(self, name: str) -> StructureList:
        """Return the list without the structure called ``name``."""
        target = self.named(name)
        return StructureList(tuple(item for item in self.items if item is not target))


@dataclass(frozen=True)
class StructureSpec:
    """A structure to teach, or to look for in data.

    Attributes:
        name: Its name in the model, kept as :func:`check_name` returns it.
        label: Its label in the data, kept as :func:`~.names.tame` returns it.
        terminology: Slicer's serialised terminology entry of a new structure; by default what its name tells.
        color: Red, green, blue of a new structure, each 0..255; by default what its name tells.

    Raises:
        OptionError: The name is one that :func:`check_name` refuses, or a colour is none.
    """

    name: str
    label: str
    terminology: str | None = None
    color: tuple[int, int, int] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", check_name(self.name))
        object.__setattr__(self, "label", tame(self.label))
        if self.color is not None and not all(0 <= part <= 255 for part in self.color):
            raise OptionError(f"The colour of {self.name!r} is {self.color}.", todo="Give three numbers 0 to 255.")

    def create(self, step: int) -> Structure:
        """Make the structure with a fresh uuid."""
        plain = Structure.create(self.name, step)
        return replace(plain, color=self.color or plain.color, terminology=self.terminology or plain.terminology)


def check_name(name: str) -> str:
    """Return the name of a structure in the form in which it is kept.

    Raises:
        OptionError: It is empty or too long, or holds a control character or what separates names elsewhere.
    """
    name = checked(name)
    if set(name) & set(",;="):
        raise OptionError(
            f"{name!r} cannot be the name of a structure.",
            todo="Use a name without comma, semicolon and equals sign; a label in the data that has one is quoted: "
            'left kidney="kidney, left".',
        )
    return name


def specs_of(structures: str | Sequence[StructureSpec]) -> list[StructureSpec]:
    """Return the structures asked for, from text or as they are.

    Raises:
        OptionError: A name or label occurs twice, or the text cannot be read.
    """
    if isinstance(structures, str):
        return parse_names(structures)
    _refuse_twice([item.name for item in structures], "The structure {!r} is named twice.")
    _refuse_twice([item.label for item in structures], "The label {!r} is given to two structures.")
    if not structures:
        raise OptionError("No structure is named.", todo="Name at least one.")
    return list(structures)


def parse_names(text: str) -> list[StructureSpec]:
    """Read ``"liver, left kidney=kidney_left"``: comma-separated names, each ``MODEL[=LABEL IN DATA]``.

    A name that holds a comma, a semicolon or an equals sign is written in double quotes.

    Example:
        >>> [(item.name, item.label) for item in parse_names('Femur, tibia=shin, left kidney="kidney, left"')]
        [('Femur', 'Femur'), ('tibia', 'shin'), ('left kidney', 'kidney, left')]

    Raises:
        OptionError: No name, an empty one, or a name or label that occurs twice.
    """
    pairs: list[tuple[str, str]] = []
    for name, label in split_names(text, ","):
        if not name:
            raise OptionError(
                f"The list of structures {text!r} has an empty name.", todo="Write for example: femur, tibia=shin."
            )
        pairs.append((name, label or name))
    return specs_of([StructureSpec(name, label) for name, label in pairs])


def names_in(text: str) -> list[str]:
    """Read comma-separated names of structures of a model, where no labels of data are read.

    Raises:
        OptionError: As :func:`parse_names` does, or a label is given.
    """
    specs = parse_names(text)
    for item in specs:
        if item.label != item.name:
            raise OptionError(
                f"{item.name}={item.label} names a label of data.", "No labels are read here.", f"Write {item.name}."
            )
    return [item.name for item in specs]


def split_names(text: str, separator: str) -> list[tuple[str, str]]:
    """Split ``NAME`` or ``NAME=VALUE`` at a separator; double quotes around either protect what is in them.

    Args:
        text: For example ``1=liver;2="kidney; left"``.
        separator: One sign.

    Returns:
        Name and value of each part, without blanks around them; the value is empty where there is none.
    """
    piece = r'\s*(?:"((?:[^"]|"")*)"\s*(?=[{0}]|$)|([^{0}]*))'
    pattern = re.compile(piece.format(f"={separator}") + "(?:=" + piece.format(separator) + ")?")
    found, at = [], 0
    while at <= len(text):
        match = pattern.match(text, at)
        assert match is not None  # every part of it may be empty
        name, plain_name, value, plain_value = (part or "" for part in match.groups())
        found.append((_unquoted(name) or plain_name.strip(), _unquoted(value) or plain_value.strip()))
        at = match.end() + 1
    return found


def _unquoted(text: str) -> str:
    return text.replace('""', '"').strip()


def _refuse_twice(values: Sequence[str], what: str) -> None:
    keys = [name_key(value) for value in values]
    for value, key in zip(values, keys, strict=True):
        if keys.count(key) > 1:
            raise OptionError(what.format(value), todo="Name it once.")
