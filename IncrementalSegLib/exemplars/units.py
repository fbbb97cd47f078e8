"""The unit of an exemplar: one slice of a case in 2-D, one crop centred on a structure in 3-D."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from IncrementalSegLib.sampling.batch import PreparedCase
from IncrementalSegLib.types import StructureId

Size = tuple[int, int, int]


@dataclass(frozen=True)
class Unit:
    """A box in one case.

    Attributes:
        case: Index of the case.
        start: First voxel along D, H, W.
        size: Number of voxels along D, H, W; D is 1 for a slice.
        planar: A slice, which a 2-D network sees as ``(C, H, W)``.
    """

    case: int
    start: Size
    size: Size
    planar: bool

    @property
    def box(self) -> tuple[slice, slice, slice]:
        """The box as an index of ``(D, H, W)``."""
        depth, height, width = (slice(at, at + size) for at, size in zip(self.start, self.size, strict=True))
        return depth, height, width

    @property
    def shape(self) -> tuple[int, ...]:
        """The spatial sizes that a network sees: two of a slice, three of a crop."""
        return self.size[1:] if self.planar else self.size

    def image(self, cases: Sequence[PreparedCase]) -> Tensor:
        """Return ``(C, H, W)`` of a slice or ``(C, D, H, W)`` of a crop, float32."""
        return self.flat(cases[self.case].image[(slice(None), *self.box)]).float()

    def flat(self, array: Tensor) -> Tensor:
        """Drop the axis D of ``(..., D, H, W)`` for a slice."""
        return array.squeeze(-3) if self.planar else array

    def cut(self, cases: Sequence[PreparedCase], id: str, keep_labels: bool) -> PreparedCase:  # noqa: A002
        """Return a copy of the box as a small prepared case."""
        case = cases[self.case]
        masks = case.masks[(slice(None), *self.box)] if keep_labels else case.masks[:0][(slice(None), *self.box)]
        return replace(
            case,
            id=id,
            image=case.image[(slice(None), *self.box)].to(torch.float16).contiguous().clone(),
            structures=case.structures if keep_labels else (),
            masks=masks.contiguous().clone(),
            ignore=None if case.ignore is None else case.ignore[self.box].contiguous().clone(),
            place=None,
        )


@dataclass(frozen=True)
class Units:
    """All units of a step's cases.

    Attributes:
        items: Sorted by case and place.
        present: ``(N, K)`` bool: unit n may represent structure k, which is outlined in it.
    """

    items: tuple[Unit, ...]
    present: NDArray[np.bool_]


def slices(cases: Sequence[PreparedCase], structures: Sequence[StructureId]) -> Units:
    """Return every slice along D of every case."""
    items: list[Unit] = []
    tables: list[NDArray[np.bool_]] = []
    for index, case in enumerate(cases):
        depth, height, width = case.image.shape[1:]
        items += [Unit(index, (at, 0, 0), (1, height, width), planar=True) for at in range(depth)]
        table = np.zeros((depth, len(structures)), dtype=bool)
        for column, structure in enumerate(structures):
            if structure in case.structures:
                table[:, column] = case.mask(structure).flatten(1).any(1).cpu().numpy()
        tables.append(table)
    return Units(tuple(items), np.concatenate(tables) if tables else np.zeros((0, len(structures)), dtype=bool))


def crops(cases: Sequence[PreparedCase], structures: Sequence[StructureId], patch: Size | None = None) -> Units:
    """Return a crop centred on the box of each structure, and of each case without one the crop in its middle.

    Args:
        cases: Prepared cases.
        structures: Uuids.
        patch: Size of the crops; smaller where the volume is, the whole volume by default.
    """
    found: dict[tuple[int, Size, Size], set[int]] = {}
    for index, case in enumerate(cases):
        depth, height, width = case.image.shape[1:]
        shape = (depth, height, width)
        size = shape if patch is None else (min(patch[0], depth), min(patch[1], height), min(patch[2], width))
        columns = [
            column
            for column, structure in enumerate(structures)
            if structure in case.structures and bool(case.mask(structure).any())
        ]
        for column in columns:
            found.setdefault((index, _start(_middle(case.mask(structures[column])), size, shape), size), set()).add(
                column
            )
        if not columns:
            found[index, _start((depth // 2, height // 2, width // 2), size, shape), size] = set()
    keys = sorted(found)
    present = np.zeros((len(keys), len(structures)), dtype=bool)
    for row, key in enumerate(keys):
        present[row, sorted(found[key])] = True
    return Units(tuple(Unit(*key, planar=False) for key in keys), present)


def batches(items: Sequence[Unit], wanted: Sequence[int], limit: int) -> Iterator[list[int]]:
    """Group the numbers ``wanted`` of neighbouring units of one size, at most ``limit`` each."""
    group: list[int] = []
    for number in wanted:
        if group and (len(group) == limit or items[number].size != items[group[0]].size):
            yield group
            group = []
        group.append(number)
    if group:
        yield group


def _middle(mask: Tensor) -> Size:
    axes = (torch.nonzero(mask.flatten(1).any(1)), torch.nonzero(mask.any(2).any(0)), torch.nonzero(mask.any(1).any(0)))
    depth, height, width = (int(axis[0] + axis[-1] + 1) // 2 for axis in axes)
    return depth, height, width


def _start(middle: Size, size: Size, shape: Size) -> Size:
    depth, height, width = (
        min(max(at - length // 2, 0), whole - length) for at, length, whole in zip(middle, size, shape, strict=True)
    )
    return depth, height, width
