"""Read cases and bring them to the model's grid."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch

from IncrementalSegLib.errors import CommandRef, DataError, Hint, OptionRef
from IncrementalSegLib.preprocessing.pipeline import forward, forward_mask, to_patient
from IncrementalSegLib.preprocessing.plan import Plan
from IncrementalSegLib.sampling.batch import PreparedCase
from IncrementalSegLib.sampling.cases import Case
from IncrementalSegLib.sampling.reading import read_case
from IncrementalSegLib.types import StructureId
from IncrementalSegLib.volumes.labels import Mask
from IncrementalSegLib.volumes.volume import Volume

Read = Callable[[Case], tuple[Volume, dict[str, Mask]]]
"""Reads a case: its scan and the masks of what was looked for."""

_SHARED = 0.01  # less is a seam of the two masks' resampling


def prepare_case(
    case: Case, structure_of: Mapping[str, StructureId], plan: Plan, read: Read = read_case
) -> PreparedCase:
    """Read a case and prepare its image and the masks of what was looked for.

    Args:
        case: The case; its ``looked_for`` holds label names.
        structure_of: Label name -> uuid.
        plan: The model's plan.
        read: Reads the case.

    Raises:
        DataError: The case cannot be read or does not fit the plan.
    """
    volume, masks = read(case)
    return prepare(case, volume, {structure_of[name]: masks[name] for name in sorted(case.looked_for)}, plan)


def prepare(case: Case, volume: Volume, masks: Mapping[StructureId, object], plan: Plan) -> PreparedCase:
    """Prepare a case that was read already.

    Args:
        case: Names the case and its patient.
        volume: The scan.
        masks: Uuid -> bool ``(D, H, W)`` on the scan's grid.
        plan: The model's plan.
    """
    plan.check(volume, f"The case {case.id!r}")
    image, ignore, _ = forward(volume, plan)
    if volume.unlabelled is not None:
        unlabelled = forward_mask(volume.unlabelled, volume, plan).bool()
        ignore = unlabelled if ignore is None else ignore | unlabelled
    rows = [forward_mask(mask, volume, plan) for mask in masks.values()]  # type: ignore[arg-type]
    empty = torch.zeros((0, *image.shape[1:]), dtype=torch.uint8)
    outlines = torch.stack(rows) if rows else empty
    return PreparedCase(
        id=case.id,
        patient=case.patient,
        image=image,
        structures=tuple(masks),
        masks=outlines,
        ignore=ignore,
        place=to_patient(volume, plan),
    )


def require_voxels(cases: Sequence[PreparedCase], names: Mapping[StructureId, str]) -> None:
    """Refuse a step in which a structure has no annotated voxel in any case.

    Raises:
        DataError: Names the structure.
    """
    for structure, name in names.items():
        holders = [case for case in cases if structure in case.structures]
        if not any(bool(case.mask(structure).any()) for case in holders):
            raise DataError(
                f"Not one voxel of {name!r} is annotated in the {len(holders)} cases in which it was looked for.",
                todo=Hint("Check the label names with ", CommandRef("check"), ", or choose other cases."),
            )


def require_apart(cases: Sequence[PreparedCase], names: Mapping[StructureId, str]) -> list[str]:
    """Refuse a step of one softmax in which a structure has no voxel to itself: two labels at a voxel teach neither.

    Returns:
        One sentence for each structure of which more than 1 % is labelled as another one too.

    Raises:
        DataError: Names the structure.
    """
    warnings = []
    for structure, name in names.items():
        holders = [case for case in cases if structure in case.structures]
        shared = sum(int(case.mask(structure)[case.masks.sum(0) > 1].sum()) for case in holders)
        share = shared / max(1, sum(int(case.mask(structure).sum()) for case in holders))
        if share == 1:
            raise DataError(
                f"Every voxel of {name!r} is labelled as another structure too.",
                "A model with one softmax gives each voxel to one structure.",
                Hint(
                    "Correct the labels, teach one of them alone, or start a model whose structures may overlap: ",
                    "leave ",
                    OptionRef("method"),
                    " out at its first step.",
                ),
            )
        if share > _SHARED:
            warnings.append(f"{100 * share:.0f} % of {name} is labelled as another structure too and is not used.")
    return warnings
