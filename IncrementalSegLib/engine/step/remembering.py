"""The end of every step, whatever its method: voxel counts, prototypes and exemplars for the next ones."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from IncrementalSegLib.engine.parallel.group import ALONE, Group
from IncrementalSegLib.errors import CommandRef, IncrementalSegError, MissingNeedError
from IncrementalSegLib.exemplars.selection import select_exemplars
from IncrementalSegLib.methods.base.context import StepContext
from IncrementalSegLib.methods.base.method import Method, MethodOptions
from IncrementalSegLib.networks.pretrained import SOURCES, pretrained_weights
from IncrementalSegLib.progress import Phase, Progress, Share
from IncrementalSegLib.prototypes.bank import PrototypeBank, class_means
from IncrementalSegLib.registry import find
from IncrementalSegLib.sampling.batch import PreparedCase
from IncrementalSegLib.types import Json, StructureId

log = logging.getLogger(__name__)


def voxel_counts(
    cases: Sequence[PreparedCase], structures: Sequence[StructureId]
) -> dict[StructureId, tuple[int, int]]:
    """Count background and foreground voxels of each structure where it was looked for."""
    counts = {}
    for structure in structures if cases else ():
        masks = [case.mask(structure) for case in cases if structure in case.structures]
        inside = sum(int(mask.sum()) for mask in masks)
        counts[structure] = (sum(mask.numel() for mask in masks) - inside, inside)
    return counts


def descriptor_weights(options: MethodOptions) -> Path | None:
    """Return the weights of the descriptor that the options ask for; ``None``: the trunk describes.

    Raises:
        MissingNeedError: They are needed and not there.
        UnknownNameError: There is no such descriptor.
    """
    if options.descriptor != "auto":
        find("descriptor", options.descriptor)
    network = "vgg16" if options.descriptor == "auto" else options.descriptor.partition("_")[0]
    named = options.descriptor_weights
    if network not in SOURCES:
        return Path(named) if named is not None else None
    file = Path(named) if named not in (None, "download") else None
    try:
        return pretrained_weights(network, file, download=named == "download")
    except MissingNeedError:
        if options.descriptor == "auto" and named is None:
            return None
        raise


def remember(
    method: Method[Any],
    ctx: StepContext,
    structures: Sequence[StructureId],
    *,
    patch: tuple[int, int, int],
    weights: Path | None,
    keep_exemplars: bool,
    progress: Progress,
    group: Group = ALONE,
) -> Json:
    """Update prototypes and exemplars of ``structures`` in ``ctx`` from the finished model.

    Callable alone on a finished version: the result is the same as at its end.

    Args:
        method: The method of the step; its options say how exemplars are chosen.
        ctx: The step, with its training cases.
        structures: The structures that the cases taught.
        patch: The model's patch (D, H, W): size of a 3-D exemplar.
        weights: Weights of the descriptor, from :func:`descriptor_weights`.
        keep_exemplars: Whether scans may be kept.
        progress: Receives progress.
        group: The processes that share out the choice of exemplars.

    Returns:
        What the selection found: descriptor, coverage curves, notes; empty where no scan may be kept.
    """
    remembering = Share.of(progress, Phase.REMEMBERING)
    averaged = 0.2 if keep_exemplars else 1.0  # choosing takes longer
    averaging = remembering.sub(0.0, averaged)
    means = class_means(ctx.model, ctx.cases, structures, ctx.device, patch=patch, progress=averaging)
    others = {key: item for key, item in ctx.prototypes.items.items() if key not in structures or key in means}
    ctx.prototypes = PrototypeBank(others | dict(means.items))
    found: Json = {}
    if keep_exemplars:
        try:
            found = _choose(
                method.options,
                ctx,
                structures=structures,
                patch=patch,
                weights=weights,
                report=remembering.sub(averaged, 1.0),
                group=group,
            )
        except (
            IncrementalSegError,
            torch.OutOfMemoryError,
            MemoryError,
        ) as error:  # a training must not be lost for its exemplars
            if group.size > 1:  # the others wait; the step can be resumed
                raise
            log.warning("No exemplars were kept: %s Choose them later with %s.", error, CommandRef("remember"))
            found = {"failed": str(error)}
    method.remember(ctx)
    return found


def _choose(
    options: MethodOptions,
    ctx: StepContext,
    structures: Sequence[StructureId],
    patch: tuple[int, int, int],
    weights: Path | None,
    report: Share,
    group: Group,
) -> Json:
    """Add exemplars of ``structures`` to ``ctx`` and return how they were chosen."""
    selection = select_exemplars(
        ctx.model,
        ctx.cases,
        structures=structures,
        options=options,
        device=ctx.device,
        seed=ctx.seed,
        progress=report,
        step=ctx.step,
        patch=patch,
        weights=weights,
        known=ctx.exemplars,
        together=group,
    )
    ctx.exemplars = ctx.exemplars.merged(selection.memory)
    return selection.report
