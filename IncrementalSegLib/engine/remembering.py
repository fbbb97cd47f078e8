"""What every step leaves behind, whatever its method: voxel counts, prototypes, exemplars."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from IncrementalSegLib.engine.progress import Progress, part
from IncrementalSegLib.exemplars.selection import SelectionOptions, select_exemplars
from IncrementalSegLib.prototypes.bank import class_means
from IncrementalSegLib.sampling.batch import PreparedCase
from IncrementalSegLib.strategy.context import StepContext
from IncrementalSegLib.strategy.method import Method
from IncrementalSegLib.types import Json, StructureId


def voxel_counts(
    cases: Sequence[PreparedCase], structures: Sequence[StructureId]
) -> dict[StructureId, tuple[int, int]]:
    """Count background and foreground voxels of each structure where it was looked for."""
    counts = {}
    for structure in structures:
        masks = [case.mask(structure) for case in cases if structure in case.structures]
        inside = sum(int(mask.sum()) for mask in masks)
        counts[structure] = (sum(mask.numel() for mask in masks) - inside, inside)
    return counts


def remember(
    method: Method[Any],
    ctx: StepContext,
    structures: Sequence[StructureId],
    patch: tuple[int, int, int],
    keep_exemplars: bool,
    progress: Progress,
) -> Json:
    """Update prototypes and exemplars of ``structures`` in ``ctx`` from the finished model.

    Callable alone on a finished version: the result is the same as at its end.

    Args:
        method: The method of the step; its options say how exemplars are chosen.
        ctx: The step, with its training cases.
        structures: The structures that the cases taught.
        patch: The model's patch (D, H, W): size of a 3-D exemplar.
        keep_exemplars: Whether scans may be kept.
        progress: Receives progress.

    Returns:
        What the selection found: descriptor, coverage curves, notes; empty where no scan may be kept.
    """
    phase = "Choosing what to remember"
    report = part(progress, phase)
    means = class_means(ctx.model, ctx.cases, structures, ctx.device, patch=patch, progress=report)
    ctx.prototypes = ctx.prototypes.merged(means)
    found: Json = {}
    if keep_exemplars:
        options = method.options
        selection = select_exemplars(
            ctx.model,
            ctx.cases,
            structures,
            SelectionOptions.model_validate(options.model_dump(include=set(SelectionOptions.model_fields))),
            ctx.device,
            ctx.seed,
            report,
            step=ctx.step,
            patch=patch,
            weights=options.descriptor_weights,
            known=ctx.exemplars,
        )
        ctx.exemplars = ctx.exemplars.merged(selection.memory)
        found = selection.report
    method.remember(ctx)
    return found
