"""The structures of a model that its network finds alike."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import torch

from IncrementalSegLib.engine.carried import read_carried_state
from IncrementalSegLib.engine.models import load
from IncrementalSegLib.engine.runtime import start
from IncrementalSegLib.inference.predictor import embedding_of
from IncrementalSegLib.store.versions import ModelFolder


@dataclass(frozen=True)
class Neighbours:
    """Two structures and the cosine between the feature vectors of their mean features."""

    one: str
    other: str
    cosine: float


@torch.no_grad()
def neighbours(folder: ModelFolder) -> list[Neighbours]:
    """Return all pairs of structures of the current version, the most alike first.

    Their directions are orthogonal; voxels of two structures that the network does not tell apart lie between them.
    The mean features are those of the steps that taught the structures; one without is left out.

    Raises:
        ModelError: The model is of another family, or damaged.
    """
    loaded = load(folder, start("cpu"))
    output, means = embedding_of(loaded.segmenter), read_carried_state(folder).prototypes
    items = [item for item in loaded.record.structures if item.id in means]
    if len(items) < 2:
        return []
    vectors = output.vectors(means.matrix([item.id for item in items]).float())
    cosines = vectors @ vectors.T
    found = [
        Neighbours(items[one].name, items[other].name, float(cosines[one, other]))
        for one, other in combinations(range(len(items)), 2)
    ]
    return sorted(found, key=lambda pair: -pair.cosine)
