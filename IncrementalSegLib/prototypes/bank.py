"""Prototypes: the mean feature vector of each structure, with the number of voxels behind it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Protocol

import torch
from torch import Tensor

from IncrementalSegLib.errors import ModelError
from IncrementalSegLib.networks.decision import decide
from IncrementalSegLib.networks.padding import crop_to, pad_to_multiple
from IncrementalSegLib.networks.segmenter import Segmenter
from IncrementalSegLib.progress import UNTOLD, Share
from IncrementalSegLib.prototypes.means import masked_means
from IncrementalSegLib.types import Json, StructureId

BACKGROUND = "background"
"""Key of the background's prototype."""

MIN_VOXELS = 1000
"""Below this a mean says too much about single voxels of single patients."""

FEW_PATIENTS = 3
"""Up to so many patients a mean describes each of them."""


class OutlinedCase(Protocol):
    """Interface of a prepared case (this folder does not import ``sampling``)."""

    @property
    def patient(self) -> str:
        """Name of the patient."""

    @property
    def image(self) -> Tensor:
        """``(C, D, H, W)``, normalised."""

    @property
    def structures(self) -> tuple[StructureId, ...]:
        """Uuids looked for, in the order of ``masks``."""

    @property
    def masks(self) -> Tensor:
        """``(L, D, H, W)``, 0 or 1."""

    @property
    def ignore(self) -> Tensor | None:
        """``(D, H, W)`` bool."""


@dataclass(frozen=True)
class Prototype:
    """The mean of a structure's features.

    Attributes:
        mean: ``(F,)`` float64.
        count: Number of voxels.
        patients: Number of patients they come from, at least.
        layer: Name of the feature map.
    """

    mean: Tensor
    count: int
    patients: int
    layer: str

    def merged(self, other: Prototype) -> Prototype:
        """Return the mean over both sets of voxels (PCDD, Eq. 3 with its numerator corrected).

        Raises:
            ModelError: They come from different feature maps.
        """
        if self.layer != other.layer or self.mean.shape != other.mean.shape:
            raise ModelError(
                f"Prototypes of {self.layer!r} ({len(self.mean)} features) and {other.layer!r} "
                f"({len(other.mean)} features) cannot be merged."
            )
        count = self.count + other.count
        mean = self.mean + (other.count / max(count, 1)) * (other.mean - self.mean)
        return Prototype(mean, count, max(self.patients, other.patients), self.layer)


@dataclass(frozen=True)
class PrototypeBank:
    """Prototypes by structure uuid, and of :data:`BACKGROUND`."""

    items: Mapping[str, Prototype] = field(default_factory=dict)

    def __contains__(self, key: object) -> bool:
        return key in self.items

    def __getitem__(self, key: str) -> Prototype:
        if key not in self.items:
            raise ModelError(f"The model holds no prototype of {key}.", todo="Compute it from the scans of its step.")
        return self.items[key]

    def matrix(self, keys: Sequence[str]) -> Tensor:
        """Return the means of ``keys`` as ``(K, F)`` float64.

        Raises:
            ModelError: One is missing.
        """
        return torch.stack([self[key].mean for key in keys])

    def merged(self, new: PrototypeBank) -> PrototypeBank:
        """Return this bank with ``new`` added: structures are averaged, the background is replaced.

        The background changes its meaning with every step, hence it is not carried on (PCDD, Sec. 3).
        """
        items = dict(self.items)
        for key, prototype in new.items.items():
            known = key in items and key != BACKGROUND
            items[key] = items[key].merged(prototype) if known else prototype
        return PrototypeBank(items)

    def without(self, key: str) -> PrototypeBank:
        """Return the bank without one prototype."""
        return PrototypeBank({name: item for name, item in self.items.items() if name != key})

    def flags(self) -> dict[str, str]:
        """Return key -> reason for the prototypes that rest on little data and may say too much about it."""
        reasons: dict[str, str] = {}
        for key, item in self.items.items():
            parts = [f"{item.count} voxels, fewer than {MIN_VOXELS}"] if item.count < MIN_VOXELS else []
            parts += ["one patient"] if item.patients <= 1 else []
            if parts:
                reasons[key] = "; ".join(parts)
        return reasons

    def to_files(self) -> tuple[Json, dict[str, Tensor]]:
        """Return what :meth:`from_files` needs: JSON and tensors."""
        data = {
            key: {"count": item.count, "patients": item.patients, "layer": item.layer}
            for key, item in self.items.items()
        }
        return {"prototypes": data}, {key: item.mean.cpu().contiguous() for key, item in self.items.items()}

    @classmethod
    def from_files(cls, data: Json, tensors: Mapping[str, Tensor]) -> PrototypeBank:
        """Rebuild a bank.

        Raises:
            ModelError: A mean is missing or not finite.
        """
        items: dict[str, Prototype] = {}
        for key, entry in data["prototypes"].items():
            mean = tensors.get(key)
            if mean is None or mean.ndim != 1 or not bool(torch.isfinite(mean).all()):
                raise ModelError(f"The prototype of {key} is missing or damaged.", todo="Go back to another version.")
            items[key] = Prototype(mean.double(), int(entry["count"]), int(entry["patients"]), str(entry["layer"]))
        return cls(items)


@torch.no_grad()
def class_means(
    model: Segmenter,
    cases: Sequence[OutlinedCase],
    structures: Sequence[StructureId],
    device: torch.device,
    batch: int = 8,
    patch: tuple[int, int, int] | None = None,
    progress: Share = UNTOLD,
) -> PrototypeBank:
    """Average the last decoder features of the finished model over each structure and the background.

    Background is what belongs to no structure outlined in the case and to none that the model itself finds
    there among those that were not looked for: unlabelled is not background.

    Args:
        model: The model at the end of its step; used in eval mode.
        cases: The step's training cases.
        structures: Uuids to average; those not looked for in a case are skipped there.
        device: Where the model lies.
        batch: Slices per pass.
        patch: 3-D only: size (D, H, W) of the tiles; the whole volume by default.
        progress: Receives the share done.
    """
    was_training = model.training
    model.eval()
    found: dict[str, Prototype] = {}
    patients: dict[str, set[str]] = {}
    try:
        for number, case in enumerate(cases):
            progress(number / len(cases))
            for image, place in _pieces(model, case, batch, patch):
                for key, prototype in _piece_means(model, image.to(device), case, place, structures).items():
                    found[key] = found[key].merged(prototype) if key in found else prototype
                    patients.setdefault(key, set()).add(case.patient)
    finally:
        model.train(was_training)
    return PrototypeBank(
        {key: Prototype(item.mean.cpu(), item.count, len(patients[key]), item.layer) for key, item in found.items()}
    )


_Place = tuple[slice, slice, slice]


def _pieces(
    model: Segmenter, case: OutlinedCase, batch: int, patch: tuple[int, int, int] | None
) -> Iterator[tuple[Tensor, _Place]]:
    shape = case.image.shape[1:]
    if model.dimension == 2:
        for start in range(0, shape[0], batch):
            place = (slice(start, start + batch), slice(None), slice(None))
            yield case.image[:, place[0]].movedim(1, 0).float(), place
        return
    sizes = patch or tuple(shape)
    for corner in product(*(range(0, length, size) for length, size in zip(shape, sizes, strict=True))):
        depth, height, width = (slice(at, at + size) for at, size in zip(corner, sizes, strict=True))
        yield case.image[:, depth, height, width].unsqueeze(0).float(), (depth, height, width)


def _piece_means(
    model: Segmenter, image: Tensor, case: OutlinedCase, place: _Place, structures: Sequence[StructureId]
) -> dict[str, Prototype]:
    sizes = tuple(image.shape[2:])
    padded = pad_to_multiple(image, model.config.multiple, model.config.multiples)
    output = model(padded)
    first = min(model.trunk_of.values())  # the trunk whose features a model returns
    outlined = case.masks[(slice(None), *place)].to(image.device).bool()
    probability = _as_volumes(crop_to(model.probabilities(output.logits), sizes))
    predicted = decide(probability, model.excluding(model.structures))
    unknown = [row for row, item in enumerate(model.structures) if item not in case.structures]
    taken = outlined.any(0) | predicted[unknown].any(0)
    valid = torch.ones_like(taken) if case.ignore is None else ~case.ignore[place].to(image.device)
    keys = [item for item in structures if item in case.structures]
    masks = {key: outlined[case.structures.index(key)] & valid for key in keys} | {BACKGROUND: ~taken & valid}
    means: dict[str, Prototype] = {}
    for trunk in sorted({first, *(model.trunk_of[key] for key in keys)}):
        features = output.features.decoder if trunk == first else model.trunks[trunk](padded).decoder
        own = [key for key in masks if model.trunk_of.get(key, first) == trunk]
        stacked = torch.stack([masks[key] for key in own])  # (K, D, H, W)
        shaped = stacked.movedim(1, 0) if image.ndim == 4 else stacked.unsqueeze(0)
        for key, mean, count in zip(own, *masked_means(crop_to(features, sizes), shaped), strict=True):
            if int(count):
                means[key] = Prototype(mean, int(count), 1, "decoder")
    return means


def _as_volumes(masks: Tensor) -> Tensor:
    """Turn (B, K, H, W) of slices, or (1, K, D, H, W), into (K, D, H, W)."""
    return masks.movedim(0, 1) if masks.ndim == 4 else masks[0]
