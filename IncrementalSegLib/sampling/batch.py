"""A batch and a prepared case: what training and selection see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from IncrementalSegLib.networks.host import picked, sent
from IncrementalSegLib.types import Affine, Source, StructureId


@dataclass(frozen=True)
class PreparedCase:
    """A case on the model's grid: resampled, oriented and normalised.

    An exemplar is a small prepared case: one slice (D is 1) or one crop.

    Attributes:
        id: Name of the case.
        patient: Name of the patient.
        image: ``(C, D, H, W)`` float16, normalised.
        structures: Uuids of the structures that were looked for, in the order of ``masks``.
        masks: ``(len(structures), D, H, W)`` uint8, 0 or 1.
        ignore: ``(D, H, W)`` bool, True where the scan holds no valid sample, or nobody looked for anything;
            ``None``: nowhere.
        place: Position of its voxels in the patient; ``None`` if unknown.
        group: Modality and name of its data set, where a step learns from several; batches are balanced by them.
    """

    id: str
    patient: str
    image: Tensor
    structures: tuple[StructureId, ...]
    masks: Tensor
    ignore: Tensor | None = None
    place: Affine | None = None
    group: tuple[str, str] = ("", "")

    @property
    def size(self) -> int:
        """Bytes of its voxels."""
        return sum(tensor.nbytes for tensor in (self.image, self.masks, self.ignore) if tensor is not None)

    def to(self, device: torch.device) -> PreparedCase:
        """Return the case on ``device``."""
        return replace(
            self,
            image=self.image.to(device, non_blocking=True),
            masks=self.masks.to(device, non_blocking=True),
            ignore=None if self.ignore is None else self.ignore.to(device, non_blocking=True),
        )

    def mask(self, structure: StructureId) -> Tensor:
        """Return the mask (D, H, W) of one structure that was looked for."""
        return self.masks[self.structures.index(structure)]


@dataclass(frozen=True)
class Batch:
    """Patches or slices from one source.

    Attributes:
        image: ``(B, C, *S)`` float32.
        label: ``(B, K, *S)`` uint8 over all K structures of the model, in the model's order; zero where
            a structure was not looked for.
        looked_for: ``(B, K)`` bool, always on the CPU; no loss may read ``label[b, k]`` where this is False.
        ignore: ``(B, *S)`` bool; True where no loss applies.
        source: The pool that all items come from.
        cases: Case id of each item.
    """

    image: Tensor
    label: Tensor
    looked_for: Tensor
    ignore: Tensor
    source: Source
    cases: tuple[str, ...]

    def labels(self, rows: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Return the labels ``(B, len(rows), *S)`` of some structures, and where they count.

        Args:
            rows: Of the structures in ``label``.

        Returns:
            The labels, uint8, and ``(B, len(rows), 1, ...)`` bool on their device: whether each was looked for.
        """
        known = self.looked_for[:, rows]
        known = known.view(*known.shape, *[1] * (self.label.ndim - 2))
        return picked(self.label, rows), sent(known, self.label)

    def to(self, device: torch.device) -> Batch:
        """Return the batch on ``device``."""
        return replace(
            self,
            image=self.image.to(device, non_blocking=True),
            label=self.label.to(device, non_blocking=True),
            ignore=self.ignore.to(device, non_blocking=True),
        )
