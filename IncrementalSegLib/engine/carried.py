"""State that a version carries to the next step: the method's own, exemplars, prototypes and voxel counts."""

from __future__ import annotations

from typing import NamedTuple

from IncrementalSegLib.engine.documents import read_document
from IncrementalSegLib.exemplars.memory import Exemplar, ExemplarMemory
from IncrementalSegLib.methods.base.context import MethodState, StepContext
from IncrementalSegLib.prototypes.bank import PrototypeBank
from IncrementalSegLib.store.versions import ModelFolder
from IncrementalSegLib.types import Json, StructureId


class CarriedState(NamedTuple):
    """State that a version hands to the next step.

    Attributes:
        method: State of the method.
        exemplars: Scans kept of earlier steps.
        prototypes: Class means of earlier steps.
        voxel_counts: Background and foreground voxels of each structure in its training scans.
    """

    method: MethodState
    exemplars: ExemplarMemory
    prototypes: PrototypeBank
    voxel_counts: dict[StructureId, tuple[int, int]]


def read_carried_state(folder: ModelFolder, number: int | None = None) -> CarriedState:
    """Read what a version carries to the next step, the current one by default.

    Raises:
        ModelError: A file is missing, damaged, or of another form.
    """
    document = read_document(folder, "memory", number, dict)
    counts = {item: (int(pair[0]), int(pair[1])) for item, pair in document.get("voxel_counts", {}).items()}
    means = folder.tensors("prototypes", number)
    return CarriedState(
        MethodState(folder.tensors("memory", number), document.get("method", {})),
        read_exemplars(folder, number),
        read_document(folder, "prototypes", number, lambda held: PrototypeBank.from_files(held, means)),
        counts,
    )


def read_exemplars(folder: ModelFolder, number: int | None = None) -> ExemplarMemory:
    """Return the exemplars of a version, the current one by default, with their pixels checked.

    Raises:
        ModelError: A file is missing, damaged, or of another form.
    """
    pixels = folder.tensors("exemplars", number)
    return read_document(folder, "exemplars", number, lambda held: ExemplarMemory.from_files(held, pixels))


def can_rehearse(folder: ModelFolder) -> bool:
    """Return whether the current version holds an exemplar that is not banned; no pixel is read.

    Raises:
        ModelError: The file is missing, damaged, or of another form.
    """
    return read_document(folder, "exemplars", None, lambda held: not all(map(_is_banned, held["exemplars"])))


def without_prototype(folder: ModelFolder) -> list[str]:
    """Return the names of the structures without a prototype."""
    held = read_document(folder, "prototypes", None, lambda found: found.get("prototypes", {}))
    return [item.name for item in folder.record().structures if item.id not in held]


def without_memory(folder: ModelFolder, key: str) -> list[str]:
    """Return the names of the structures about which the memory of a method holds nothing under a key.

    Args:
        folder: The model.
        key: Name in the memory, from :meth:`Method.key`.  What lies there is about all structures, unless it is an
            object with a list ``structures``.

    Raises:
        ModelError: A file is missing, damaged, or of another form.
    """
    data = read_document(folder, "memory", None, dict).get("method", {})
    known = folder.record().structures
    if key not in data:
        return [] if key in folder.tensors("memory") else list(known.names)
    held = data[key].get("structures") if isinstance(data[key], dict) else None
    return [item.name for item in known if held is not None and item.id not in held]


def _is_banned(exemplar: Json) -> bool:
    return Exemplar.from_json(exemplar).banned


def memory_document(ctx: StepContext) -> Json:
    """Return the method's memory and the voxel counts as one document."""
    counts = {item: list(pair) for item, pair in ctx.voxel_counts.items()}
    return {"method": ctx.memory.data, "voxel_counts": counts}
