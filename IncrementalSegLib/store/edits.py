"""Changes to a model that need no training: rename a structure, remove one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from IncrementalSegLib.errors import ModelError
from IncrementalSegLib.store.record import VersionRecord
from IncrementalSegLib.store.versions import ModelFolder
from IncrementalSegLib.structures import check_name
from IncrementalSegLib.types import Json, StructureId

if TYPE_CHECKING:
    from torch import Tensor

_TENSORS = ("weights", "prototypes", "memory")
_DOCUMENTS = ("prototypes", "memory", "scores", "curve")


def rename_structure(folder: ModelFolder, old: str, new: str) -> VersionRecord:
    """Give a structure another name, in a new version that shares all weights.

    Args:
        folder: The model.
        old: Its name, without regard to case.
        new: The new name.

    Raises:
        UnknownNameError: The model knows no structure ``old``.
        OptionError: The new name is one that no structure can have.
        ModelError: The new name is taken, or the folder cannot be written.
    """
    new = check_name(new)
    with folder.writing():
        structures = folder.record().structures
        change = {"action": "rename", "structure": structures.named(old).id, "old": structures.named(old).name}
        return folder.edit({**change, "new": new}, structures=structures.renamed(old, new))


def remove_structure(
    folder: ModelFolder, name: str, exemplars: tuple[Json, dict[str, Tensor]] | None = None
) -> VersionRecord:
    """Remove a structure in a new version: its weights, prototypes and scores are not taken over.

    Earlier versions keep them.  A trunk or branch that no other structure uses goes too.

    Args:
        folder: The model.
        name: Its name, without regard to case.
        exemplars: What remains of the exemplars, document and tensors; by default they stay as they are.

    Raises:
        UnknownNameError: The model knows no such structure.
        ModelError: It is the only one, or the folder cannot be written.
    """
    with folder.writing():
        record = folder.record()
        target = record.structures.named(name)
        if len(record.structures) == 1:
            raise ModelError(
                f"{target.name!r} is the only structure of the model.",
                "A model without structures can do nothing.",
                "Delete the model's folder instead, or teach another structure first.",
            )
        tensors = {kind: _without(held, target.id) for kind in _TENSORS if (held := folder.tensors(kind))}
        architecture, tensors["weights"] = _without_trunk(record.architecture, tensors["weights"], target.id)
        for key in {"output", "heads"} & set(architecture):
            architecture[key] = _without(architecture[key], target.id)
        if set(architecture.get("heads", ())) == set(architecture["trunk_of"]):  # the softmax has lost its last row
            tensors["weights"] = _without(tensors["weights"], "output.rows.background")
        documents = {kind: _without(held, target.id) for kind in _DOCUMENTS if (held := folder.document(kind))}
        if exemplars is not None:
            documents["exemplars"], tensors["exemplars"] = exemplars
        return folder.edit(
            {"action": "remove", "structure": target.id, "old": target.name},
            tensors=tensors,
            documents=documents,
            structures=record.structures.without(name),
            architecture=architecture,
            scores=_without(record.scores, target.id),
        )


def _without(data: Any, structure: StructureId) -> Any:
    """Drop every entry whose key holds the uuid, and every list item that names it."""
    if isinstance(data, dict):
        return {key: _without(item, structure) for key, item in data.items() if structure not in key}
    if isinstance(data, list):
        return [_without(item, structure) for item in data if not _names(item, structure)]
    return data


def _names(item: Any, structure: StructureId) -> bool:
    values = item.values() if isinstance(item, dict) else [item]
    return any(isinstance(value, str) and value == structure for value in values)


def _without_trunk(
    architecture: Json, weights: dict[str, Tensor], structure: StructureId
) -> tuple[Json, dict[str, Tensor]]:
    """Take a structure out of the architecture, and with it the trunk or branch that no other structure uses."""
    trunk_of: dict[StructureId, int] = {
        key: trunk for key, trunk in architecture["trunk_of"].items() if key != structure
    }
    branches: dict[str, Json] = architecture.get("branches", {})
    serving = set(trunk_of.values())
    carrying = {branch["trunk"] for key, branch in branches.items() if int(key) in serving}
    place = {old: new for new, old in enumerate(sorted(serving | carrying))}
    kept: dict[str, Tensor] = {}
    for key, item in weights.items():
        match = re.fullmatch(r"trunks\.(\d+)\.(.+)", key)
        if match is None:
            kept[key] = item
        elif (number := int(match[1])) in place:
            kept[f"trunks.{place[number]}.{match[2]}"] = item
    rest = {key: item for key, item in architecture.items() if key != "branches"}
    moved = {
        str(place[int(key)]): {**branch, "trunk": place[branch["trunk"]]}
        for key, branch in branches.items()
        if int(key) in place
    }
    numbered = {"trunks": len(place), "trunk_of": {key: place[trunk] for key, trunk in trunk_of.items()}}
    return {**rest, **numbered, **({"branches": moved} if moved else {})}, kept
