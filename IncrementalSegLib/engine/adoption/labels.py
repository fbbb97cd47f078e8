"""From the labels of a data set to the structures of a model and the outputs of its network, and back."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from IncrementalSegLib.engine.adoption.forms import OWN, DatasetForm, Look
from IncrementalSegLib.engine.adoption.refusal import refused
from IncrementalSegLib.errors import OptionError
from IncrementalSegLib.names import name_key
from IncrementalSegLib.structures import Structure, StructureList, check_name
from IncrementalSegLib.terminology import terminology_of
from IncrementalSegLib.types import Json, StructureId

BACKGROUND, IGNORE = "background", "ignore"
"""Names with a meaning of their own among the labels of nnU-Net."""

_SEPARATORS = re.compile(r"[,;=]")  # they separate names elsewhere


@dataclass(frozen=True)
class Region:
    """A structure of nnU-Net that may overlap others.

    Attributes:
        labels: Labels of the data set that make it up.
        painted: Its value in nnU-Net's label maps, in which later structures are painted over earlier ones.
    """

    labels: tuple[int, ...]
    painted: int

    def to_json(self) -> Json:
        """Return the region as a JSON object."""
        return {"labels": list(self.labels), "painted": self.painted}


@dataclass(frozen=True)
class Labels:
    """Structures of a network of nnU-Net.

    Attributes:
        structures: In the order of the network's outputs.
        regions: Of each structure, where they may overlap and have a sigmoid each; empty where all and the background
            share one softmax.
    """

    structures: StructureList
    regions: Mapping[StructureId, Region]

    @property
    def outputs(self) -> int:
        """Channels of the network's last convolution."""
        return len(self.structures) + (not self.regions)

    @property
    def painted(self) -> dict[StructureId, int]:
        """Value of each structure in the label maps of nnU-Net."""
        by_order = {item: number for number, item in enumerate(self.structures.ids, start=1)}
        return {item: self.regions[item].painted for item in self.regions} or by_order


def labels_of(dataset: DatasetForm, path: Path, codes: Callable[[str], str | None] = terminology_of) -> Labels:
    """Return the structures of a data set, without the ignore label.

    Args:
        dataset: The data set.
        path: Its file, for messages.
        codes: Returns the terminology entry of a structure by its name, where the data set states none.

    Raises:
        ModelError: A label is missing, means two structures, or has no proper name or that of another.
    """
    values = {name: _values(value) for name, value in dataset.labels.items()}
    if values.get(BACKGROUND) != (0,):
        raise refused(path, f"its background is {dataset.labels.get(BACKGROUND)!r} and not label 0")
    ignored = values.pop(IGNORE, ())
    named = {name: value for name, value in values.items() if set(value) != {0}}
    if not named:
        raise refused(path, "it has no label except the background")
    known = {label for value in values.values() for label in value}
    if ignored and ignored != (max(known) + 1,):
        raise refused(path, f"its ignore label is {ignored} and not the one after the highest, {max(known) + 1}")
    if any(isinstance(value, tuple) and len(value) > 1 for value in dataset.labels.values()):  # as nnU-Net decides it
        painted = dataset.regions_class_order
        if painted is None or len(painted) != len(named):
            raise refused(path, f"its regions_class_order does not have {len(named)} entries, one for each region")
        structures = structures_of(list(named), dataset.looks, codes, path)
        regions = (Region(*both) for both in zip(named.values(), painted, strict=True))
        return Labels(structures, dict(zip(structures.ids, regions, strict=True)))
    if known != set(range(len(named) + 1)):
        raise refused(
            path,
            f"its labels are {', '.join(map(str, sorted(known)))} and not 0 to {len(named)}, each once",
            "It would not be clear which output of the network belongs to which label.",
        )
    return Labels(structures_of(sorted(named, key=lambda name: named[name]), dataset.looks, codes, path), {})


def renamed(
    structures: StructureList, names: Mapping[str, str], codes: Callable[[str], str | None] = terminology_of
) -> StructureList:
    """Return structures that are called otherwise, all at once; a code that came from a name changes with it.

    Args:
        structures: The structures.
        names: Name of a structure -> its new name.
        codes: As for :func:`labels_of`.

    Raises:
        UnknownNameError: There is no structure of that name.
        OptionError: A new name is one that no structure can have, or two structures would have it.
    """
    new = {structures.named(old).id: check_name(name) for old, name in names.items()}
    found = tuple(_called(item, new.get(item.id, item.name), codes) for item in structures)
    keys = [name_key(name) for name in (BACKGROUND, *(item.name for item in found))]
    for name in new.values():
        if keys.count(name_key(name)) > 1:
            raise OptionError(f"Two structures would be called {name!r}.", todo="Choose another name for one of them.")
    return StructureList(found)


def labels_for(structures: StructureList, exclusive: bool, known: Mapping[StructureId, Region]) -> Labels:
    """Return the labels by which nnU-Net knows the structures of a model.

    Args:
        structures: In the order of the network's outputs.
        exclusive: They share one softmax with the background.
        known: Regions of structures that came from nnU-Net; any other becomes a region of a label of its own.
    """
    if exclusive:
        return Labels(structures, {})
    free = 1 + max((label for item in known.values() for label in (*item.labels, item.painted)), default=0)
    new = [item for item in structures.ids if item not in known]
    regions = {item: Region((value,), value) for value, item in enumerate(new, start=free)}
    return Labels(structures, {item: known.get(item) or regions[item] for item in structures.ids})


def described(labels: Labels) -> Json:
    """Return what ``dataset.json`` says of labels; the opposite of :func:`labels_of`."""
    values = {item.name: [labels.painted[item.id]] for item in labels.structures}
    values |= {item.name: [*labels.regions[item.id].labels] for item in labels.structures if labels.regions}
    if labels.regions and all(len(value) == 1 for value in values.values()):
        values[labels.structures.names[0]] *= 2  # nnU-Net takes labels for regions where one has a list of several
    return (
        {"labels": {BACKGROUND: 0} | {name: value if len(value) > 1 else value[0] for name, value in values.items()}}
        | ({"regions_class_order": list(labels.painted.values())} if labels.regions else {})
        | {OWN: {item.name: Look.of(item).model_dump(mode="json") for item in labels.structures}}
    )


def _called(item: Structure, name: str, codes: Callable[[str], str | None]) -> Structure:
    if name == item.name:
        return item
    told = item.terminology in (None, codes(item.name))
    return replace(item, name=name, terminology=codes(name) if told else item.terminology)


def _values(value: int | Sequence[int]) -> tuple[int, ...]:
    return (value,) if isinstance(value, int) else tuple(dict.fromkeys(value))


def structures_of(
    names: Sequence[str], looks: Mapping[str, Look], codes: Callable[[str], str | None], path: Path
) -> StructureList:
    """Return structures of these names.

    Args:
        names: As the other program has them.
        looks: Colour and terminology of some, by name.
        codes: Returns the terminology entry of a structure by its name, where no look is known.
        path: The file, for messages.

    Raises:
        ModelError: A name cannot be used, is given to two structures, or is ``background``.
    """
    found = [_name(name, path) for name in names]
    keys = [name_key(name) for name in (BACKGROUND, *found)]
    for name in found:
        if keys.count(name_key(name)) > 1:
            raise refused(path, f"two of its labels are called {name!r}")
    return StructureList(tuple(_structure(name, looks.get(name), codes) for name in found))


def _name(name: str, path: Path) -> str:
    try:
        return check_name(_SEPARATORS.sub(" ", name))
    except OptionError as error:
        raise refused(path, f"one of its labels has no proper name: {error.what.rstrip('.')}") from error


def _structure(name: str, look: Look | None, codes: Callable[[str], str | None]) -> Structure:
    plain = replace(Structure.create(name, 1), terminology=codes(name))
    return plain if look is None else replace(plain, color=look.color, terminology=look.terminology)
