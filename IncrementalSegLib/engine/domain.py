"""What a model has seen, structure by structure, and when a scan is unlike it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from IncrementalSegLib.engine.documents import plan_of, read_document
from IncrementalSegLib.errors import ModelError
from IncrementalSegLib.evaluation.domain import FAR, NEAR, Closeness, Distance, Domain, Traits, traits, word
from IncrementalSegLib.preprocessing.plan import Plan
from IncrementalSegLib.store.versions import ModelFolder
from IncrementalSegLib.structures import StructureList
from IncrementalSegLib.types import Json, StructureId
from IncrementalSegLib.volumes.volume import Volume

DOCUMENT = "domain"

_LOOKS = {
    "contrast": "its contrast is another, as of another kind of scan",
    "texture": "it is finer, coarser or noisier in detail",
    "layout": "the body lies elsewhere in it, as in another body part or a turned scan",
}


_DEGREES: dict[Closeness, tuple[str, str]] = {
    "far": ("unlike", "The result may be wrong throughout: teach the model some scans of this kind first."),
    "apart": ("somewhat unlike", "Look at the result with care."),
}


@dataclass(frozen=True)
class Taught:
    """Scans that taught the same structures in one step.

    Attributes:
        step: Number of the step.
        structures: Uuids that they taught.
        domain: What they look like.
    """

    step: int
    structures: tuple[StructureId, ...]
    domain: Domain


@dataclass(frozen=True)
class Seen:
    """All that a model has seen, oldest step first; carried from version to version.

    Attributes:
        taught: Groups of scans.
    """

    taught: tuple[Taught, ...] = ()

    @classmethod
    def of(cls, folder: ModelFolder, number: int | None, doubt: Callable[[str], object]) -> Seen:
        """Read what a version has seen; nothing where that is not known, or cannot be understood.

        Args:
            folder: The model.
            number: Of the version; ``None``: the current one.
            doubt: Receives a sentence where it cannot be understood: only comparisons need it.
        """
        try:
            plan = plan_of(folder.record(number))
            return read_document(folder, DOCUMENT, number, lambda document: cls.from_json(document, plan))
        except ModelError as error:
            doubt(f"How new scans differ from those that taught the model is not known: {error}")
            return cls()

    @classmethod
    def from_json(cls, document: Json, plan: Plan) -> Seen:
        """Rebuild it from :meth:`to_json`, and compare an empty scan with it.

        Args:
            document: The document.
            plan: The model's plan.

        Raises:
            KeyError: A number is missing.
            ValueError: The numbers are not those of such scans.
        """
        empty = torch.zeros(plan.channels, 2, 2, 2)
        axes = (1, 2) if plan.dimension == 2 else (0, 1, 2)
        scan = traits(empty, empty.numpy(), (1.0,) * len(axes), (2.0,) * len(axes), axes)
        taught = [
            Taught(item["step"], tuple(item["structures"]), Domain.from_json(item["domain"]))
            for item in document.get("taught", ())
        ]
        for item in taught:
            item.domain.distance(scan)
        return cls(tuple(taught))

    def with_step(self, step: int, scans: Sequence[tuple[Traits, Sequence[StructureId]]]) -> Seen:
        """Return this with one more step.

        Args:
            step: Its number.
            scans: What each scan looks like, and the structures that it taught; structures that the same
                scans taught share one entry.
        """
        ids = dict.fromkeys(item for _, structures in scans for item in structures)
        groups: dict[tuple[int, ...], list[StructureId]] = {}
        for item in ids:
            holders = tuple(row for row, (_, structures) in enumerate(scans) if item in structures)
            groups.setdefault(holders, []).append(item)
        fresh = [
            Taught(step, tuple(items), Domain.of([scans[row][0] for row in holders]))
            for holders, items in groups.items()
        ]
        return Seen((*self.taught, *fresh))

    def nearest(self, scan: Traits, structure: StructureId) -> tuple[Distance, Domain] | None:
        """Return how far a scan is from the nearest group that taught a structure, and the group."""
        found = [(item.domain.distance(scan), item.domain) for item in self.taught if structure in item.structures]
        return min(found, key=lambda pair: pair[0].largest, default=None)

    def to_json(self) -> Json:
        """Return the document of a version."""
        return {
            "taught": [
                {"step": item.step, "structures": list(item.structures), "domain": item.domain.to_json()}
                for item in self.taught
            ]
        }


def look_at(volume: Volume, image: Tensor, plan: Plan) -> Traits:
    """Measure what a scan looks like.

    Args:
        volume: The scan.
        image: The same scan as the network sees it, ``(C, D, H, W)``.
        plan: The model's plan.
    """
    order, _ = plan.turning(volume.grid)
    axes = (1, 2) if plan.dimension == 2 else (0, 1, 2)
    seen = [order[axis] for axis in axes]
    spacing = [volume.grid.spacing[2 - axis] for axis in seen]
    extent = [step * volume.grid.shape[axis] for step, axis in zip(spacing, seen, strict=True)]
    return traits(image, volume.array, spacing, extent, axes, volume.padding)


def warnings_of(seen: Seen, scan: Traits, structures: StructureList, name: str) -> list[str]:
    """Say for which structures a scan is unlike the training scans, and in what.

    Args:
        seen: What the model has seen.
        scan: What the scan looks like.
        structures: The structures asked for.
        name: What the scan is called.

    Returns:
        One sentence for each set of structures with the same reasons; none where the scan is near.
    """
    found: dict[tuple[Closeness, str], list[str]] = {}
    for item in structures:
        nearest = seen.nearest(scan, item.id)
        if nearest is not None and (degree := word(nearest[0].largest)) != "near":
            found.setdefault((degree, _reason(scan, *nearest)), []).append(item.name)
    warnings = []
    for (degree, reason), names in found.items():
        how, todo = _DEGREES[degree]
        warnings.append(f"{name} is {how} the scans that taught {', '.join(names)}: {reason}. {todo}")
    return warnings


def _reason(scan: Traits, distance: Distance, domain: Domain) -> str:
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
    """Return the length that is farthest outside, and what those that taught had."""
    triples = [(value, low, high) for value, (low, high) in zip(values, ranges, strict=True)]
    value, low, high = max(triples, key=lambda item: max(item[1] / item[0], item[0] / item[2]))
    least, most = f"{low:.3g}", f"{high:.3g}"
    return f"{value:.3g} mm, they had {least if least == most else f'{least} to {most}'} mm"
