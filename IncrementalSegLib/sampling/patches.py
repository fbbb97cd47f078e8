"""Patches and slices from prepared cases; batch i is a function of the generator that is passed for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from IncrementalSegLib.preprocessing.plan import Plan
from IncrementalSegLib.sampling.batch import Batch, PreparedCase
from IncrementalSegLib.types import Source, StructureId

T = TypeVar("T")

FOREGROUND_SHARE = 0.5
"""Share of items that are drawn around a voxel of a structure to be learned; our own choice."""


@dataclass(frozen=True)
class _Foreground:
    """Voxels (N, 3) of one structure in one case, thinned out."""

    case: int
    voxels: Tensor


@dataclass(frozen=True)
class _Group:
    """Cases of one data set: their places in the pool, their slices, and the foreground of structures in them."""

    cases: list[int]
    slices: Tensor
    foreground: dict[StructureId, list[_Foreground]]


@dataclass(frozen=True)
class Cut:
    """One item of a batch, where its case lies or on the way from there.

    Attributes:
        case: The case.
        image: ``(C, d, h, w)``, of its type.
        masks: ``(len(case.structures), d, h, w)`` uint8.
        ignore: ``(d, h, w)`` bool, or ``None``: nowhere.
    """

    case: PreparedCase
    image: Tensor
    masks: Tensor
    ignore: Tensor | None


class PatchPool:
    """Draw batches from prepared cases.

    A 2-D network gets single slices along D, a 3-D network crops; both are padded with the image's
    minimum, and the padding is ignored by every loss.  An item comes from a modality, then from one of its data sets
    and, for half of the items, from a place of a structure there, each choice with equal probabilities; the order is
    that of Chen et al., CVPR 2024 (Versatile).

    Args:
        cases: Prepared cases or exemplars.
        structures: All structures of the model, in the order of ``Batch.label``.
        targets: Structures around which half of the items are drawn.
        plan: The model's plan.
        source: Name of the pool.
    """

    def __init__(
        self,
        cases: Sequence[PreparedCase],
        structures: Sequence[StructureId],
        targets: Sequence[StructureId],
        plan: Plan,
        source: Source,
    ) -> None:
        self.cases = list(cases)
        self.structures = tuple(structures)
        self.plan = plan
        self.source = source
        self.device = torch.device("cpu")
        self._groups = _grouped(self.cases, targets)

    def __len__(self) -> int:
        """Return the number of slices (2-D) or cases (3-D)."""
        slices = sum(case.image.shape[1] for case in self.cases)
        return slices if self.plan.dimension == 2 else len(self.cases)

    def move(self, device: torch.device, room: int) -> int:
        """Make batches on a device, of cases that lie there where they fit; of others what is cut is sent.

        Args:
            device: The device.
            room: Bytes that cases may take there.

        Returns:
            The bytes that are left.
        """
        self.device = device
        for place, case in enumerate(self.cases):
            if case.size <= room:
                self.cases[place], room = case.to(device), room - case.size
        return room

    @property
    def sends(self) -> bool:
        """Whether some cases lie elsewhere than batches."""
        return any(case.image.device.type != self.device.type for case in self.cases)

    def draw(self, size: int, generator: torch.Generator) -> Batch:
        """Draw ``size`` items, on the CPU unless the pool was moved."""
        return self.collate(self.cut(size, generator))

    def cut(self, size: int, generator: torch.Generator) -> list[Cut]:
        """Choose ``size`` items and cut them from their cases; a GPU gets nothing to do."""
        return [self._item(*self._pick(generator), generator) for _ in range(size)]

    def _pick(self, generator: torch.Generator) -> tuple[int, list[int] | None]:
        """Choose a case and, for half of the items, a voxel of a target."""
        modality = _one_of(self._groups, generator)
        group = _one_of(modality, generator)
        if group.foreground and _uniform(generator) < FOREGROUND_SHARE:
            keys = list(group.foreground)
            parts = group.foreground[keys[_index(len(keys), generator)]]
            part = parts[_index(len(parts), generator)]
            return part.case, part.voxels[_index(len(part.voxels), generator)].tolist()
        if self.plan.dimension == 2:  # every slice alike, as in the paper
            place = _index(int(group.slices.sum()), generator)
            ends = torch.cumsum(group.slices, 0)
            case = int(torch.searchsorted(ends, place, right=True))
            depth = place - int(ends[case] - group.slices[case])
            return group.cases[case], [depth, -1, -1]
        return group.cases[_index(len(group.cases), generator)], None

    def _item(self, index: int, voxel: list[int] | None, generator: torch.Generator) -> Cut:
        case = self.cases[index]
        starts = []
        for axis, (size, patch) in enumerate(zip(case.image.shape[1:], self.plan.patch, strict=True)):
            center = -1 if voxel is None else voxel[axis]
            if axis == 0 and self.plan.dimension == 2 and voxel is not None:
                starts.append(center)
            elif size <= patch:
                starts.append(0)
            elif center < 0:
                starts.append(_index(size - patch + 1, generator))
            else:  # the voxel lies somewhere in the middle half of the patch
                offset = patch // 4 + _index(patch // 2 + 1, generator)
                starts.append(min(max(center - offset, 0), size - patch))
        window = tuple(slice(start, start + patch) for start, patch in zip(starts, self.plan.patch, strict=True))
        image, masks = (self._ready(part[(slice(None), *window)]) for part in (case.image, case.masks))
        return Cut(case, image, masks, None if case.ignore is None else self._ready(case.ignore[window]))

    def _ready(self, part: Tensor) -> Tensor:
        """Return a part of a case, ready to be sent where it lies elsewhere than batches.

        For a GPU that means in one piece in page-locked memory: the host waits for any other copy.
        """
        if part.device.type == self.device.type:
            return part
        return torch.empty(part.shape, dtype=part.dtype, pin_memory=self.device.type == "cuda").copy_(part)

    def collate(self, items: Sequence[Cut]) -> Batch:
        """Return a batch of what :meth:`cut` cut, on the device of the pool."""
        channels = items[0].image.shape[0]
        patch, device = self.plan.patch, self.device
        image = torch.empty((len(items), channels, *patch), device=device)
        label = torch.zeros((len(items), len(self.structures), *patch), dtype=torch.uint8, device=device)
        looked_for = torch.zeros((len(items), len(self.structures)), dtype=torch.bool)
        ignore = torch.ones((len(items), *patch), dtype=torch.bool, device=device)
        for index, item in enumerate(items):
            crop = item.image.to(device, non_blocking=True).float()
            masks = item.masks.to(device, non_blocking=True)
            depth, height, width = (_centered(size, room) for size, room in zip(crop.shape[1:], patch, strict=True))
            image[index] = crop.amin() if self.plan.rules is None else 0  # as in prediction
            image[index, :, depth, height, width] = crop
            ignore[index, depth, height, width] = (
                False if item.ignore is None else item.ignore.to(device, non_blocking=True)
            )
            for row, structure in enumerate(item.case.structures):
                if structure in self.structures:
                    column = self.structures.index(structure)
                    label[index, column, depth, height, width] = masks[row]
                    looked_for[index, column] = True
        if self.plan.dimension == 2:
            image, label, ignore = image.squeeze(2), label.squeeze(2), ignore.squeeze(1)
        return Batch(
            image=image,
            label=label,
            looked_for=looked_for,
            ignore=ignore,
            source=self.source,
            cases=tuple(item.case.id for item in items),
        )


def _grouped(cases: Sequence[PreparedCase], targets: Sequence[StructureId]) -> list[list[_Group]]:
    """Return the cases by modality and data set."""
    places: dict[str, dict[str, list[int]]] = {}
    for place, case in enumerate(cases):
        modality, source = case.group
        places.setdefault(modality, {}).setdefault(source, []).append(place)
    return [
        [
            _Group(
                chosen,
                torch.tensor([cases[place].image.shape[1] for place in chosen]),
                {item: parts for item in targets if (parts := _foreground(cases, chosen, item))},
            )
            for chosen in sources.values()
        ]
        for sources in places.values()
    ]


def _foreground(cases: Sequence[PreparedCase], chosen: Sequence[int], structure: StructureId) -> list[_Foreground]:
    parts = []
    for index in chosen:
        case = cases[index]
        if structure in case.structures:
            voxels = case.mask(structure).nonzero()
            if len(voxels):
                parts.append(_Foreground(index, voxels[:: max(1, len(voxels) // 2000)]))
    return parts


def _centered(size: int, room: int) -> slice:
    start = (room - size) // 2
    return slice(start, start + size)


def _index(count: int, generator: torch.Generator) -> int:
    return int(torch.randint(count, (), generator=generator))


def _one_of(items: Sequence[T], generator: torch.Generator) -> T:
    """Choose one; for a single one no random number is drawn, so that it changes no later choice."""
    return items[_index(len(items), generator)] if len(items) > 1 else items[0]


def _uniform(generator: torch.Generator) -> float:
    return float(torch.rand((), generator=generator))
