"""Confidence of the previous model in each class on the scans of a step."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from IncrementalSegLib.losses.classes import merged_log_softmax
from IncrementalSegLib.losses.pseudo_labels import median
from IncrementalSegLib.methods.base.context import StepContext
from IncrementalSegLib.methods.base.softmax_classes import SoftmaxClasses, columns
from IncrementalSegLib.prototypes.bank import BACKGROUND
from IncrementalSegLib.sampling.patches import PatchPool

_BINS = 100  # of the histograms in PLOP's public code
_ITEMS = 4
_LOOKS_PER_CASE = 8
_MOST_LOOKS = 200


@torch.no_grad()
def class_medians(ctx: StepContext, measure: Callable[[Tensor], Tensor]) -> dict[str, float]:
    """Return the median of a measure where the previous model finds the background and each old structure.

    It is taken over unlabelled voxels of patches drawn from the step's scans: eight per case and 200 at
    most, our own choice.

    Args:
        ctx: The step; it has old structures.
        measure: Makes values 0..1 ``(B, *S)`` of probabilities ``(B, C, *S)``: entropy, highest probability.

    Returns:
        By uuid, the background first and then ``ctx.old``; 0 for a class that is not found.
    """
    assert ctx.teacher_model is not None
    pool = PatchPool(ctx.cases, ctx.structures, (), ctx.plan, "new")
    draws = math.ceil(min(_MOST_LOOKS, _LOOKS_PER_CASE * len(ctx.cases)) / _ITEMS)
    known, generator = columns(ctx.teacher_model, ctx.old), ctx.generator()
    histogram = torch.zeros(1 + len(known), _BINS, dtype=torch.int64, device=ctx.device)
    for done in range(draws):
        ctx.progress(done / draws)
        batch = pool.draw(_ITEMS, generator).to(ctx.device)
        target = SoftmaxClasses.target(batch, ctx)
        probability = merged_log_softmax(ctx.teacher(batch.image).logits, known).exp()
        counted = target.valid & (target.column == 0)
        histogram += _histogram(probability.argmax(1), measure(probability), counted, len(histogram))
    return dict(zip((BACKGROUND, *ctx.old), median(histogram).tolist(), strict=True))


def _histogram(found: Tensor, values: Tensor, counted: Tensor, classes: int) -> Tensor:
    """Count values by the class that is found: ``(C, bins)`` int64."""
    place = (values * _BINS).long().clamp(0, _BINS - 1)
    cell = (found * _BINS + place)[counted]
    return torch.bincount(cell, minlength=classes * _BINS).view(classes, _BINS)
