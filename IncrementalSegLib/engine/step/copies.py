"""Copies of one scan in a step, for example in two data sets: the labels of all, and where they differ."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations

import torch
from torch import Tensor

from IncrementalSegLib.sampling.batch import PreparedCase
from IncrementalSegLib.types import StructureId


def grouped_copies(cases: Sequence[PreparedCase], fingerprints: Iterable[str]) -> list[list[PreparedCase]]:
    """Return the cases, those of one scan in one list.

    Args:
        cases: Prepared cases.
        fingerprints: Of the images of each.
    """
    found: dict[str, list[PreparedCase]] = {}
    for case, fingerprint in zip(cases, fingerprints, strict=True):
        found.setdefault(fingerprint, []).append(case)
    return list(found.values())


def united_copies(copies: Sequence[PreparedCase]) -> PreparedCase:
    """Return the copies of one scan as one case, with the labels of all; a single one as it is."""
    if len(copies) == 1:
        return copies[0]
    masks: dict[StructureId, Tensor] = {}
    for case in copies:
        for structure in case.structures:
            mask = case.mask(structure)
            masks[structure] = masks[structure] | mask if structure in masks else mask
    return replace(copies[0], structures=tuple(masks), masks=torch.stack(list(masks.values())))


def contradictions(groups: Iterable[Sequence[PreparedCase]], names: Mapping[StructureId, str]) -> list[str]:
    """Return a sentence for each structure that copies of a scan outline differently.

    Args:
        groups: Copies of one scan each.
        names: Names of the structures.
    """
    worst: dict[StructureId, tuple[float, str, str]] = {}
    for copies in groups:
        for one, other in combinations(copies, 2):
            for structure in (item for item in one.structures if item in other.structures):
                first, second = one.mask(structure), other.mask(structure)
                if not torch.equal(first, second):
                    dice = 2 * int((first & second).sum()) / int(first.sum() + second.sum())
                    worst[structure] = min(worst.get(structure, (2.0, "", "")), (dice, one.id, other.id))
    return [
        f"Copies of one scan have different labels of {names[structure]}: those of {one!r} and {other!r} agree with a "
        f"Dice of {dice:.2f}, and both are used. Leave out the wrong one."
        for structure, (dice, one, other) in worst.items()
    ]
