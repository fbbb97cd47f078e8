"""The structures of a model that its network finds alike."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from itertools import combinations

import torch

from IncrementalSegLib.engine.carried import read_carried_state
from IncrementalSegLib.engine.history import History
from IncrementalSegLib.engine.models import load
from IncrementalSegLib.engine.runtime import start
from IncrementalSegLib.inference.predictor import embedding_of
from IncrementalSegLib.prototypes.bank import PrototypeBank
from IncrementalSegLib.store.versions import ModelFolder
from IncrementalSegLib.types import StructureId

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Neighbours:
    """Two structures and the cosine between the feature vectors of their mean features.

    Attributes:
        one: Name of a structure.
        other: Name of the other.
        cosine: -1..1.
        versions: The versions whose networks computed the two vectors.
    """

    one: str
    other: str
    cosine: float
    versions: tuple[int, int]


@torch.no_grad()
def neighbours(folder: ModelFolder) -> list[Neighbours]:
    """Return all pairs of structures of the current version, the most alike first.

    Their directions are orthogonal; voxels of two structures that the network does not tell apart lie between them.
    Mean features come from the last step that taught a structure, and only the network of that time can turn them into
    a vector; the vectors of all versions lie in one space.  A structure without either is left out.

    Raises:
        ModelError: The model is of another family, or damaged.
    """
    runtime = start("cpu")
    loaded = load(folder, runtime)
    embedding_of(loaded.segmenter)
    banks = {record.number: read_carried_state(folder, record.number).prototypes for record in folder.lineage()}
    found: dict[StructureId, tuple[int, torch.Tensor]] = {}
    for number, members in _by_origin(folder, loaded.record.structures.ids, banks).items():
        output = embedding_of(load(folder, runtime, number).segmenter)
        vectors = output.vectors(banks[number].matrix(members).float())
        found |= {item: (number, vector) for item, vector in zip(members, vectors, strict=True)}
    known = [item for item in loaded.record.structures if item.id in found]
    pairs = []
    for one, other in combinations(known, 2):
        (first, vector), (second, against) = found[one.id], found[other.id]
        pairs.append(Neighbours(one.name, other.name, float(vector @ against), (first, second)))
    return sorted(pairs, key=lambda pair: -pair.cosine)


def _by_origin(
    folder: ModelFolder, structures: tuple[StructureId, ...], banks: dict[int, PrototypeBank]
) -> dict[int, list[StructureId]]:
    """Return the structures by the version that computed their mean features.

    Args:
        folder: The model.
        structures: Of the current version.
        banks: Prototypes of the lineage, oldest first.
    """
    found: dict[int, list[StructureId]] = {}
    *_, newest = banks
    for item in structures:
        name = folder.record().structures.by_id(item).name
        if item not in banks[newest]:
            log.warning("%s is left out: the model holds no mean features of it, or they were deleted.", name)
            continue
        mean, origin = banks[newest][item].mean, newest
        for number in reversed(banks):
            if item not in banks[number] or not torch.equal(banks[number][item].mean, mean):
                break
            origin = number
        if _computed(folder, item, origin):
            found.setdefault(origin, []).append(item)
        else:
            log.warning(
                "%s is left out: its mean features are of a version that the model folder holds no longer.", name
            )
    return found


def _computed(folder: ModelFolder, structure: StructureId, version: int) -> bool:
    """Return whether a version that has other mean features than its parent has computed them itself."""
    history = History.of(folder, version)
    last = history.last_step(structure)
    return last is None or int(last["number"]) == history.number or folder.record(version).kind == "edit"
