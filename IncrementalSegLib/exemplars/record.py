"""Write down what was chosen, and why."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray

from IncrementalSegLib.exemplars.memory import Exemplar, ExemplarMemory, Order, pixel_hash
from IncrementalSegLib.exemplars.units import Unit
from IncrementalSegLib.sampling.batch import PreparedCase
from IncrementalSegLib.types import StructureId


@dataclass(frozen=True)
class Target:
    """One structure, or its background, for which exemplars are chosen.

    Attributes:
        key: The structure's uuid, or that of its background.
        structure: The structure's uuid.
        scores: Uncertainty of every unit.
        eligible: Units that may be chosen.
        candidates: Those among which coverage chooses, sorted.
        pinned: Those chosen first.
        orders: Per order the units chosen and what each gained, in the order of their ranks.
    """

    key: str
    structure: StructureId
    scores: NDArray[np.float64]
    eligible: list[int]
    candidates: list[int]
    pinned: list[int]
    orders: dict[Order, dict[int, float]] = field(default_factory=dict)


def record(
    cases: Sequence[PreparedCase],
    items: Sequence[Unit],
    targets: Sequence[Target],
    descriptor: str,
    step: int,
    *,
    keep_labels: bool,
) -> ExemplarMemory:
    """Return the chosen units as exemplars, in the order of cases and places.

    Args:
        cases: Prepared cases.
        items: All units.
        targets: What was chosen for each structure.
        descriptor: Name of the content order's descriptor, for the reason.
        step: Number of the step.
        keep_labels: Keep the outlines with the pixels.
    """
    rows = sorted({row for target in targets for gains in target.orders.values() for row in gains})
    exemplars: list[Exemplar] = []
    scans: dict[str, PreparedCase] = {}
    for row in rows:
        scan = items[row].cut(cases, "", keep_labels)
        case = cases[items[row].case]
        chosen = [target for target in targets if any(row in gains for gains in target.orders.values())]
        exemplar = _exemplar(case, items[row], row=row, scan=scan, chosen=chosen, descriptor=descriptor, step=step)
        exemplars.append(exemplar)
        scans[exemplar.id] = replace(scan, id=exemplar.id)
    return ExemplarMemory(tuple(exemplars), scans)


def _exemplar(
    case: PreparedCase,
    unit: Unit,
    row: int,
    scan: PreparedCase,
    chosen: Sequence[Target],
    descriptor: str,
    step: int,
) -> Exemplar:
    outlined = [item for item in case.structures if bool(case.mask(item)[unit.box].any())]
    return Exemplar(
        id=secrets.token_hex(5),
        case=case.id,
        patient=case.patient,
        step=step,
        start=unit.start,
        size=unit.size,
        looked_for=case.structures,
        present=tuple(outlined),
        ranks={
            item.key: {name: [*by].index(row) + 1 for name, by in item.orders.items() if row in by} for item in chosen
        },
        gains={item.key: {name: by[row] for name, by in item.orders.items() if row in by} for item in chosen},
        certainty={item.key: float(item.scores[row]) for item in chosen},
        reasons={item.key: _reason(item, row, descriptor) for item in chosen},
        sha256=pixel_hash(scan.image),
        labelled=scan.structures == case.structures,
        pinned=any(row in item.pinned for item in chosen),
        position=_position(case, unit, outlined),
    )


def _position(case: PreparedCase, unit: Unit, outlined: Sequence[StructureId]) -> tuple[float, float, float] | None:
    """Return the middle of all that is outlined in a unit, or of the unit: x, y, z in mm."""
    if case.place is None:
        return None
    shown = torch.zeros(unit.size, dtype=torch.bool)
    for item in outlined:
        shown |= case.mask(item)[unit.box].bool()
    inside = shown.nonzero().double() if bool(shown.any()) else (torch.tensor([unit.size], dtype=torch.double) - 1) / 2
    voxel = [*(inside.mean(0) + torch.tensor(unit.start)).tolist(), 1.0]
    x, y, z = (round(sum(a * b for a, b in zip(row, voxel, strict=True)), 2) for row in case.place)
    return x, y, z


def _reason(target: Target, row: int, descriptor: str) -> str:
    certain = 1 + sum((target.scores[other], other) < (target.scores[row], row) for other in target.eligible)
    parts = [] if target.key == target.structure else ["background"]
    parts += ["pinned"] if row in target.pinned else []
    parts.append(f"certainty rank {certain} of {len(target.eligible)}")
    if row in target.orders["abstraction"]:
        parts.append(f"adds {100 * target.orders['abstraction'][row]:.1f} % coverage")
    elif row in target.orders["content"]:
        parts.append(f"adds {100 * target.orders['content'][row]:.1f} % coverage of content ({descriptor})")
    else:
        parts.append("drawn at random")
    return ", ".join(parts)
