"""The training domain of a model, structure by structure, and the scans that are unlike it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from IncrementalSegLib.engine.documents import plan_of, read_document
from IncrementalSegLib.errors import ModelError
from IncrementalSegLib.evaluation.domain import (
    FAR,
    NEAR,
    PERCENTILES,
    Closeness,
    Distance,
    Domain,
    ScanFeatures,
    word,
)
from IncrementalSegLib.evaluation.spread import Numbers
from IncrementalSegLib.preprocessing.plan import Plan
from IncrementalSegLib.store.versions import ModelFolder
from IncrementalSegLib.structures import StructureList
from IncrementalSegLib.types import Json, StructureId
from IncrementalSegLib.volumes.volume import Volume

DOCUMENT = "domain"

_QUANTILES = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
_LAGS = (1, 2, 4, 8)
_DIVISION = (1, 4, 4), (2, 4, 4)  # of a 2-D and of a 3-D network's scan
_VOXELS = 2_000_000  # of a larger scan every n-th slice is enough
_SAMPLES = 100_000

_LOOKS = {
    "contrast": "its contrast differs, as in another kind of scan",
    "texture": "its detail is finer, coarser or noisier",
    "layout": "its layout differs, as in another body part or a rotated scan",
}


_ADVICE: dict[Closeness, str] = {
    "unlike": "The result may be wrong throughout: teach the model some scans of this kind first.",
    "somewhat unlike": "Look at the result with care.",
}


@dataclass(frozen=True)
class DomainGroup:
    """Training scans of the same structures in one step.

    Attributes:
        step: Number of the step.
        structures: Uuids of these structures.
        domain: The scans, as aggregates.
    """

    step: int
    structures: tuple[StructureId, ...]
    domain: Domain


@dataclass(frozen=True)
class TrainingDomain:
    """The training scans of a model, as aggregates; carried from version to version.

    Attributes:
        groups: Training scans by step and structures, oldest step first.
    """

    groups: tuple[DomainGroup, ...] = ()

    @classmethod
    def of(cls, folder: ModelFolder, number: int | None, doubt: Callable[[str], object]) -> TrainingDomain:
        """Read the training domain of a version; an empty one where it is not known, or cannot be understood.

        Args:
            folder: The model.
            number: Of the version; ``None``: the current one.
            doubt: Receives a sentence where it cannot be understood: only comparisons need it.
        """
        try:
            plan = plan_of(folder.record(number))
            return read_document(folder, DOCUMENT, number, lambda document: cls.from_json(document, plan))
        except ModelError as error:
            doubt(f"New scans cannot be compared with the training scans: {error}")
            return cls()

    @classmethod
    def from_json(cls, document: Json, plan: Plan) -> TrainingDomain:
        """Rebuild it from :meth:`to_json`.

        Args:
            document: The document.
            plan: The model's plan.

        Raises:
            KeyError: A number is missing.
            ValueError: There are more or fewer numbers than scans of this plan have.
        """
        groups = [
            DomainGroup(item["step"], tuple(item["structures"]), Domain.from_json(item["domain"]))
            for item in document.get("groups", ())
        ]
        for item in groups:
            _check_lengths(item.domain, plan)
        return cls(tuple(groups))

    def with_step(self, step: int, scans: Sequence[tuple[ScanFeatures, Sequence[StructureId]]]) -> TrainingDomain:
        """Return this with one more step.

        Args:
            step: Its number.
            scans: Features of each scan, and the structures that it trained; structures with the same
                scans share one entry.
        """
        ids = dict.fromkeys(item for _, structures in scans for item in structures)
        groups: dict[tuple[int, ...], list[StructureId]] = {}
        for item in ids:
            holders = tuple(row for row, (_, structures) in enumerate(scans) if item in structures)
            groups.setdefault(holders, []).append(item)
        fresh = [
            DomainGroup(step, tuple(items), Domain.of([scans[row][0] for row in holders]))
            for holders, items in groups.items()
        ]
        return TrainingDomain((*self.groups, *fresh))

    def nearest(self, scan: ScanFeatures, structure: StructureId) -> tuple[Distance, Domain] | None:
        """Return how far a scan is from the nearest group of a structure, and the group."""
        found = [(item.domain.distance(scan), item.domain) for item in self.groups if structure in item.structures]
        return min(found, key=lambda pair: pair[0].largest, default=None)

    def to_json(self) -> Json:
        """Return the document of a version."""
        return {
            "groups": [
                {"step": item.step, "structures": list(item.structures), "domain": item.domain.to_json()}
                for item in self.groups
            ]
        }


def _check_lengths(domain: Domain, plan: Plan) -> None:
    """Refuse a domain that was not measured on scans of a plan."""
    axes = len(plan.axes)
    lengths = {
        "contrast": plan.channels * len(_QUANTILES),
        "texture": plan.channels * axes * len(_LAGS),
        "layout": plan.channels * math.prod(_DIVISION[axes == 3]),
        "intensity": plan.channels * len(PERCENTILES),
    }
    found = {name: len(item.mean) for name, item in domain.spreads.items()}
    deviations = {name: len(item.deviation) for name, item in domain.spreads.items()}
    looks = sum(lengths[name] for name in _LOOKS)
    ranges = len(domain.spacing), len(domain.extent)
    if not (found == deviations == lengths and len(domain.shape.mean) == looks and ranges == (axes, axes)):
        raise ValueError(f"its numbers are not those of {plan.dimension}-D scans with {plan.channels} channels")


def scan_features(volume: Volume, image: Tensor, plan: Plan) -> ScanFeatures:
    """Measure the features of a scan.

    Args:
        volume: The scan.
        image: The same scan as the network sees it, ``(C, D, H, W)``.
        plan: The model's plan.
    """
    order, _ = plan.turning(volume.grid)
    seen = [order[axis] for axis in plan.axes]
    spacing = [volume.grid.spacing[2 - axis] for axis in seen]
    extent = [step * volume.grid.shape[axis] for step, axis in zip(spacing, seen, strict=True)]
    return measure(image, volume.array, spacing=spacing, extent=extent, axes=plan.axes, padding=volume.padding)


def measure(
    image: Tensor,
    raw: NDArray[np.generic],
    spacing: Sequence[float],
    extent: Sequence[float],
    axes: Sequence[int] = (0, 1, 2),
    padding: Sequence[float | None] = (),
) -> ScanFeatures:
    """Measure the features of one scan.

    Args:
        image: ``(C, D, H, W)``, normalised, on the model's grid.
        raw: ``(C, ...)``, the scan's own samples; NaN and infinite ones are left out.
        spacing: Millimetres of the scan along the axes that the network sees.
        extent: Field of view in mm along the same axes.
        axes: Which of D, H, W the network sees; no other axis counts.
        padding: Value of each channel of ``raw`` that is padding and left out too.
    """
    stride = max(1, math.ceil(image[0].numel() / _VOXELS))
    thinned = image[:, :: min(stride, image.shape[1])].float()
    values = thinned.flatten(1)
    if values.shape[1] > _SAMPLES:  # every n-th one would repeat the same columns
        values = values[:, torch.randint(values.shape[1], (_SAMPLES,), generator=torch.Generator().manual_seed(0))]
    contrast = torch.quantile(values, torch.tensor(_QUANTILES), dim=1).T
    texture = [_roughness(image, thinned, axis, lag, stride) for axis in axes for lag in _LAGS]
    layout = F.adaptive_avg_pool3d(thinned, _DIVISION[len(axes) == 3])
    looks = {"contrast": contrast, "texture": torch.stack(texture, dim=1), "layout": layout}
    return ScanFeatures(
        {name: item.flatten().double().numpy() for name, item in looks.items()},
        np.concatenate([_percentiles(*pair) for pair in zip(raw, padding or [None] * len(raw), strict=True)]),
        tuple(spacing),
        tuple(extent),
    )


def _roughness(image: Tensor, thinned: Tensor, axis: int, lag: int, stride: int) -> Tensor:
    """Return the logarithm of the mean difference between voxels ``lag`` apart, per channel."""
    source = thinned if axis else image[:, :, :: min(stride, image.shape[2])].float()
    size = source.shape[axis + 1]
    lag = min(lag, size - 1)
    first, second = source.narrow(axis + 1, 0, size - lag), source.narrow(axis + 1, lag, size - lag)
    return ((second - first).abs().mean(dim=(1, 2, 3)) + 1e-3).log()  # a constant scan has a logarithm too


def _percentiles(channel: NDArray[np.generic], padding: float | None) -> Numbers:
    if channel.size > _SAMPLES:
        random = np.random.default_rng(0)
        channel = channel[tuple(random.integers(size, size=_SAMPLES) for size in channel.shape)]
    values = channel.ravel().astype(np.float64)
    values = values[np.isfinite(values)]
    values = values if padding is None else values[values != padding]
    return np.percentile(values, PERCENTILES) if values.size else np.zeros(len(PERCENTILES))


def warnings_of(domain: TrainingDomain, scan: ScanFeatures, structures: StructureList, name: str) -> list[str]:
    """Say for which structures a scan is unlike the training scans, and in what.

    Args:
        domain: The training domain of the model.
        scan: Features of the scan.
        structures: The structures asked for.
        name: What the scan is called.

    Returns:
        One sentence for each set of structures with the same reasons; none where the scan is similar.
    """
    found: dict[tuple[Closeness, str], list[str]] = {}
    for item in structures:
        nearest = domain.nearest(scan, item.id)
        if nearest is not None and (degree := word(nearest[0].largest)) != "similar":
            found.setdefault((degree, _reason(scan, *nearest)), []).append(item.name)
    warnings = []
    for (degree, reason), names in found.items():
        warnings.append(f"{name} is {degree} the training scans of {', '.join(names)}: {reason}. {_ADVICE[degree]}")
    return warnings


def _reason(scan: ScanFeatures, distance: Distance, domain: Domain) -> str:
    parts = []
    if distance.features > NEAR:
        looks = {look: getattr(distance, look) for look in _LOOKS}
        limit = min(FAR, max(looks.values()))
        parts = [_LOOKS[look] for look, value in looks.items() if value >= limit]
    if distance.spacing > NEAR:
        parts.append(f"its spacing is {_against(scan.spacing, domain.spacing)}")
    elif distance.extent > NEAR:
        parts.append(f"its field of view is {_against(scan.extent, domain.extent)}")
    return "; ".join(parts)


def _against(values: Sequence[float], ranges: Sequence[tuple[float, float]]) -> str:
    """Return the length that is farthest outside, and its range in the training scans."""
    triples = [(value, low, high) for value, (low, high) in zip(values, ranges, strict=True)]
    value, low, high = max(triples, key=lambda item: max(item[1] / item[0], item[0] / item[2]))
    least, most = f"{low:.3g}", f"{high:.3g}"
    return f"{value:.3g} mm, they had {least if least == most else f'{least} to {most}'} mm"
