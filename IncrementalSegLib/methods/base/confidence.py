"""Confidence of the previous model in each class on the scans of a step."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from IncrementalSegLib.losses.classes import merged_log_softmax
from IncrementalSegLib.methods.base.context import StepContext
from IncrementalSegLib.methods.base.softmax_classes import SoftmaxClasses, columns
from IncrementalSegLib.prototypes.bank import BACKGROUND
from IncrementalSegLib.sampling.patches import PatchPool

_ITEMS = 4
_MOST_VALUES = 65_536  # of a draw; all of it where patches are 128 x 128
_LOOKS_PER_CASE = 8
_MOST_LOOKS = 200


@torch.no_grad()
def class_medians(ctx: StepContext, measure: Callable[[Tensor], Tensor]) -> dict[str, float]:
    """Return the median of a measure where the previous model finds the background and each old structure.

    It is taken over unlabelled voxels of patches drawn from the step's scans: eight per case and 200 at
    most, our own choice.  Large patches are thinned out at random.  PLOP's public code takes it from a
    histogram of 100 bins, the first few of which hold all entropies of a trained network.

    Args:
        ctx: The step; it has old structures.
        measure: Makes values ``(B, *S)`` of probabilities ``(B, C, *S)``: entropy, highest probability.

    Returns:
        By uuid, the background first and then ``ctx.old``; 0 for a class that is not found.
    """
    assert ctx.teacher_model is not None
    pool = PatchPool(ctx.cases, ctx.structures, (), ctx.plan, "new")
    draws = math.ceil(min(_MOST_LOOKS, _LOOKS_PER_CASE * len(ctx.cases)) / _ITEMS)
    known, generator = columns(ctx.teacher_model, ctx.old), ctx.generator()
    classes, values = [], []
    for done in range(draws):
        ctx.progress(done / draws)
        batch = pool.draw(_ITEMS, generator).to(ctx.device)
        target = SoftmaxClasses.target(batch, ctx)
        probability = merged_log_softmax(ctx.teacher(batch.image).logits, known).exp()
        places = (target.valid & (target.column == 0)).flatten().nonzero().squeeze(1)
        if len(places) > _MOST_VALUES:
            places = places[torch.randperm(len(places), generator=generator)[:_MOST_VALUES].to(places.device)]
        classes.append(probability.argmax(1).flatten()[places].to("cpu", torch.int16))
        values.append(measure(probability).flatten()[places].float().cpu())
    found, measured = torch.cat(classes), torch.cat(values)
    keys = (BACKGROUND, *ctx.old)
    return {key: _median(measured[found == number]) for number, key in enumerate(keys)}


def _median(values: Tensor) -> float:
    return float(values.median()) if len(values) else 0.0
