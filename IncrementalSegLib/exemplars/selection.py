"""Choose the exemplars of a step: certain, representative, and in an order that allows cutting the tail.

For each structure the union of the first ``keep`` of three orders over the same data is kept: coverage by
the abstraction layer (AeiSeg), coverage by content (CoRiSeg), and random (the control).  So any rehearsal
method can follow any step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from IncrementalSegLib.exemplars.certainty import Aggregate, Masks, Measure, score_units
from IncrementalSegLib.exemplars.content import (
    Descriptor,
    DescriptorNeeds,
    Reduction,
    common_size,
    content_distances,
    fit,
)
from IncrementalSegLib.exemplars.coverage import (
    Coverage,
    Matrix,
    centred,
    cosine_similarity,
    cover_by_distance,
    cover_by_similarity,
)
from IncrementalSegLib.exemplars.descriptors.trunk import TrunkDescriptor, abstractions
from IncrementalSegLib.exemplars.memory import ExemplarMemory, background_of
from IncrementalSegLib.exemplars.record import Target, record
from IncrementalSegLib.exemplars.together import ALONE, Together
from IncrementalSegLib.exemplars.units import Size, Units, crops, slices
from IncrementalSegLib.networks.segmenter import Segmenter
from IncrementalSegLib.options import title
from IncrementalSegLib.progress import UNTOLD, Share
from IncrementalSegLib.registry import find
from IncrementalSegLib.sampling.batch import PreparedCase
from IncrementalSegLib.types import Json, StructureId


class SelectionOptions(BaseModel):
    """Options for choosing exemplars; the defaults are those of Ozdemir 2018."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
        allow_inf_nan=False,
        field_title_generator=title,
    )

    candidates: int = Field(50, ge=1)
    """Most certain slices or crops per structure among which coverage chooses (kc)."""
    keep: int = Field(30, ge=1)
    """Exemplars per structure and order (kr)."""
    passes: int = Field(29, ge=2)
    """Passes of Monte Carlo dropout."""
    masks: Masks = "common"
    """common: the same dropout masks for all slices, so that certainty ranks slices and not masks; our own choice.
    independent: masks of its own for each slice."""
    descriptor: str = "auto"
    """Pre-trained network of the content order: ``auto`` is ``vgg16`` where weights are named, else ``trunk``."""
    content_reduction: Reduction = "mean_per_layer"
    """Squared differences averaged per layer, or ``sum`` as Eq. 3 prints."""
    centre: bool = True
    """Take the mean over all slices off the features before their cosines, which are near 1 otherwise; our own
    choice."""
    measure: Measure = "variance"
    """Measure of uncertainty over the passes."""
    aggregate: Aggregate = "all"
    """Voxels over which it is averaged."""
    candidates_from: Literal["certain", "all_with_structure"] = "certain"
    """Candidates of both coverage orders."""
    select_background: bool = False
    """Choose for each structure's background too, as the authors' 2019 code does."""
    keep_labels: bool = True
    """Keep the outlines with the pixels; distillation does without them."""
    batch: int = Field(16, ge=1)
    """Slices or crops per pass."""


@dataclass(frozen=True)
class Selection:
    """The chosen exemplars.

    Attributes:
        memory: The exemplars with their pixels, in the order of cases and places.
        report: Descriptor, numbers, coverage curve per structure and order, and notes for people.
    """

    memory: ExemplarMemory
    report: Json


@dataclass(frozen=True)
class _Job:
    model: Segmenter
    cases: Sequence[PreparedCase]
    structures: Sequence[StructureId]
    options: SelectionOptions
    device: torch.device
    seed: int
    progress: Share
    units: Units
    weights: Path | None
    together: Together


def select_exemplars(
    model: Segmenter,
    cases: Sequence[PreparedCase],
    structures: Sequence[StructureId],
    options: SelectionOptions,
    device: torch.device,
    seed: int,
    progress: Share = UNTOLD,
    *,
    step: int = 1,
    patch: Size | None = None,
    weights: Path | None = None,
    known: ExemplarMemory | None = None,
    together: Together = ALONE,
) -> Selection:
    """Choose exemplars of ``structures`` from a step's training cases (Ozdemir 2018, Sec. 2.2).

    In 2-D the unit is a slice; in 3-D a crop of ``patch`` size centred on the structure, and content is
    compared over its three middle planes (this project's own choice).  The same input gives the same
    exemplars, byte for byte, on the CPU.

    Args:
        model: The model at the end of the step.
        cases: The step's training cases.
        structures: Uuids of the structures that the step taught.
        options: How to choose.
        device: Where the model lies.
        seed: Seed of the dropout masks and the random order.
        progress: Receives the share done; may raise to cancel.
        step: Number of the step, recorded.
        patch: 3-D only: size of the crops along D, H, W.
        weights: ``.safetensors`` file of the pre-trained descriptor.
        known: Exemplars of before: what is pinned there is taken first, what is banned never.
        together: The processes that share out the passes; all get the whole selection.

    Raises:
        MissingNeedError: The network has no dropout, or the descriptor needs weights.
        UnknownNameError: No descriptor has that name.
    """
    volumetric = model.dimension == 3
    units = crops(cases, structures, patch) if volumetric else slices(cases, structures)
    job = _Job(
        model=model,
        cases=cases,
        structures=structures,
        options=options,
        device=device,
        seed=seed,
        progress=progress,
        units=units,
        weights=weights,
        together=together,
    )
    descriptor = _descriptor_name(options, weights)
    find("descriptor", descriptor)  # a wrong name is refused before the long passes
    targets = _targets(job, known or ExemplarMemory())
    report: Json = {"units": len(units.items), "descriptor": descriptor, "notes": [], "structures": {}}
    if any(target.eligible for target in targets):
        vectors = _order_by_abstraction(job, targets)
        _order_by_content(job, targets, descriptor, report)
        _order_at_random(job, targets, vectors)
    if descriptor == "trunk" and options.descriptor == "auto":
        report["notes"].append("No ImageNet weights were named, so content was compared by the model's own trunk.")
    report["structures"] = {target.key: _summary(target) for target in targets}
    progress(1.0)
    memory = record(cases, units.items, targets, descriptor, step, keep_labels=options.keep_labels)
    return Selection(memory, report)


def _descriptor_name(options: SelectionOptions, weights: Path | None) -> str:
    if options.descriptor != "auto":
        return options.descriptor
    return "trunk" if weights is None else "vgg16"


def _targets(job: _Job, known: ExemplarMemory) -> list[Target]:
    """Score certainty and pick the candidates of each structure."""
    options, units = job.options, job.units
    tables = [(structure, structure, units.present[:, row]) for row, structure in enumerate(job.structures)]
    if options.select_background:
        tables += [(background_of(item), item, _background(job, item)) for item in job.structures]
    wanted = np.zeros_like(units.present)
    for _, structure, table in tables:
        wanted[:, job.structures.index(structure)] |= table
    scores = score_units(
        job.model,
        job.cases,
        items=units.items,
        present=wanted,
        structures=job.structures,
        device=job.device,
        seed=job.seed,
        passes=options.passes,
        measure=options.measure,
        aggregate=options.aggregate,
        masks=options.masks,
        batch=options.batch,
        progress=job.progress.sub(0.0, 0.6),
        together=job.together,
    )
    pinned, banned = _marked(job, known, "pinned"), _marked(job, known, "banned")
    targets: list[Target] = []
    for key, structure, table in tables:
        eligible = [row for row in np.flatnonzero(table).tolist() if row not in banned]
        column = scores[:, job.structures.index(structure)]
        certain = np.array(eligible, dtype=int)[np.argsort(column[eligible], kind="stable")].tolist()
        forced = [row for row in eligible if row in pinned]
        chosen = certain[: options.candidates] if options.candidates_from == "certain" else eligible
        targets.append(
            Target(
                key=key,
                structure=structure,
                scores=column,
                eligible=eligible,
                candidates=sorted({*chosen, *forced}),
                pinned=forced,
            )
        )
    return targets


def _background(job: _Job, structure: StructureId) -> NDArray[np.bool_]:
    return np.array(
        [
            structure in job.cases[unit.case].structures
            and not bool(job.cases[unit.case].mask(structure)[unit.box].all())
            for unit in job.units.items
        ],
        dtype=bool,
    )


def _marked(job: _Job, known: ExemplarMemory, mark: Literal["pinned", "banned"]) -> set[int]:
    places = {(item.case, item.start, item.size) for item in known if getattr(item, mark)}
    return {
        row for row, unit in enumerate(job.units.items) if (job.cases[unit.case].id, unit.start, unit.size) in places
    }


def _by_trunk(job: _Job, targets: Sequence[Target]) -> dict[int, list[Target]]:
    groups: dict[int, list[Target]] = {}
    for target in targets:
        groups.setdefault(job.model.trunk_of[target.structure], []).append(target)
    return groups


def _order_by_abstraction(job: _Job, targets: Sequence[Target]) -> dict[int, Matrix]:
    """Fill the order of AeiSeg and return the descriptors (N, F) of each trunk."""
    vectors: dict[int, Matrix] = {}
    for trunk, group in _by_trunk(job, targets).items():
        described = abstractions(
            TrunkDescriptor(job.model, trunk),
            job.cases,
            items=job.units.items,
            device=job.device,
            batch=job.options.batch,
            progress=job.progress.sub(0.6, 0.7),
            together=job.together,
        )
        vectors[trunk] = centred(described) if job.options.centre else described
        for target in group:
            similarity = cosine_similarity(vectors[trunk], target.candidates)
            pinned = [target.candidates.index(row) for row in target.pinned]
            coverage = cover_by_similarity(similarity, job.options.keep, pinned)
            target.orders["abstraction"] = _picked(coverage, target.candidates)
    return vectors


def _order_by_content(job: _Job, targets: Sequence[Target], name: str, report: Json) -> None:
    """Fill the order of CoRiSeg; all structures share one pass over the set."""
    items = job.units.items
    size = common_size([unit.shape for unit in items])
    other = sum(unit.shape != size for unit in items)
    if other:
        report["notes"].append(f"For content {other} of {len(items)} images were cropped or padded to {list(size)}.")
    groups = _by_trunk(job, targets) if name == "trunk" else {0: list(targets)}
    for trunk, group in groups.items():
        descriptor: Descriptor = find("descriptor", name)(DescriptorNeeds(job.device, job.weights, job.model, trunk))
        report["descriptor_version"] = descriptor.version
        if descriptor.planar and len(size) == 3:
            report["descriptor_version"] += "; the three middle planes of each crop"
        union = sorted({row for target in group for row in target.candidates})
        distances = content_distances(
            descriptor,
            lambda row: fit(items[row].image(job.cases), size),
            count=len(items),
            candidates=union,
            device=job.device,
            reduction=job.options.content_reduction,
            batch=min(8, job.options.batch),
            progress=job.progress.sub(0.7, 1.0),
            together=job.together,
        )
        for target in group:
            rows = [union.index(row) for row in target.candidates]
            pinned = [target.candidates.index(row) for row in target.pinned]
            coverage = cover_by_distance(distances[rows], job.options.keep, pinned)
            target.orders["content"] = _picked(coverage, target.candidates)


def _order_at_random(job: _Job, targets: Sequence[Target], vectors: dict[int, Matrix]) -> None:
    """Fill the order of the control: any slice with the structure, however certain."""
    for number, target in enumerate(targets):
        drawn = np.random.default_rng([job.seed % 2**63, number]).permutation(target.eligible).astype(int).tolist()
        order = list(dict.fromkeys([*target.pinned, *drawn]))[: max(job.options.keep, len(target.pinned))]
        similarity = cosine_similarity(vectors[job.model.trunk_of[target.structure]], order)
        target.orders["random"] = _picked(cover_by_similarity(similarity, 0, range(len(order))), order)


def _picked(coverage: Coverage, candidates: Sequence[int]) -> dict[int, float]:
    return {candidates[row]: gain for row, gain in zip(coverage.order, coverage.gains, strict=True)}


def _summary(target: Target) -> Json:
    return {
        "with_structure": len(target.eligible),
        "candidates": len(target.candidates),
        "coverage": {order: np.cumsum(list(gains.values())).tolist() for order, gains in target.orders.items()},
    }
