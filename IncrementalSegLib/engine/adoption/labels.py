"""From the labels of a data set to the structures of a model and the outputs of its network."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from IncrementalSegLib.engine.adoption.forms import DatasetForm
from IncrementalSegLib.engine.adoption.refusal import refused
from IncrementalSegLib.names import name_key
from IncrementalSegLib.structures import Structure, StructureList, check_name

_BACKGROUND, _IGNORE = "background", "ignore"
_SEPARATORS = re.compile(r"[,;=]")  # they separate names elsewhere


@dataclass(frozen=True)
class Labels:
    """Structures of an adopted network.

    Attributes:
        structures: In the order of the network's outputs.
        regions: Structures are unions of labels that may overlap, each with a sigmoid of its own; otherwise all and the
            background share one softmax.
    """

    structures: StructureList
    regions: bool

    @property
    def outputs(self) -> int:
        """Channels of the network's last convolution."""
        return len(self.structures) + (not self.regions)


def labels_of(dataset: DatasetForm, path: Path) -> Labels:
    """Return the structures of a data set, without the ignore label.

    Raises:
        ModelError: A label is missing, means two structures, or has the name of another.
    """
    values = {name: _values(value) for name, value in dataset.labels.items()}
    if values.get(_BACKGROUND) != (0,):
        raise refused(path, f"its background is {dataset.labels.get(_BACKGROUND)!r} and not label 0")
    ignored = values.pop(_IGNORE, ())
    named = {name: value for name, value in values.items() if set(value) != {0}}
    if not named:
        raise refused(path, "it has no label except the background")
    known = {label for value in values.values() for label in value}
    if ignored and ignored != (max(known) + 1,):
        raise refused(path, f"its ignore label is {ignored} and not the one after the highest, {max(known) + 1}")
    regions = any(len(value) > 1 for value in named.values())
    if regions:
        if dataset.regions_class_order is None or len(dataset.regions_class_order) != len(named):
            raise refused(path, f"its regions_class_order does not have {len(named)} entries, one for each region")
        order = list(named)
    else:
        if known != set(range(len(named) + 1)):
            raise refused(
                path,
                f"its labels are {', '.join(map(str, sorted(known)))} and not 0 to {len(named)}, each once",
                "It would not be clear which output of the network belongs to which label.",
            )
        order = sorted(named, key=lambda name: named[name])
    return Labels(_structures(order, path), regions)


def _values(value: int | Sequence[int]) -> tuple[int, ...]:
    return (value,) if isinstance(value, int) else tuple(dict.fromkeys(value))


def _structures(names: Sequence[str], path: Path) -> StructureList:
    found = [check_name(_SEPARATORS.sub(" ", name)) for name in names]
    keys = [name_key(name) for name in found]
    for name, key in zip(found, keys, strict=True):
        if keys.count(key) > 1:
            raise refused(path, f"two of its labels are called {name!r}")
    return StructureList(tuple(Structure.create(name, 1) for name in found))
