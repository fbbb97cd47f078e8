"""Losses of one sigmoid per structure."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def binary_cross_entropy(
    scores: Tensor, target: Tensor, valid: Tensor, weights: Tensor | None = None, reduction: str = "mean"
) -> Tensor:
    """Return the binary cross-entropy of each structure against hard or soft targets, in float32.

    Args:
        scores: ``(B, K, *S)``, before the sigmoid.
        target: ``(B, K, *S)``, 0..1.
        valid: ``(B, K, *S)`` bool; voxels that count, broadcastable.
        weights: ``(K, 2)`` weights of background and foreground, or ``None``.
        reduction: How structures are joined: ``sum`` or ``mean``; voxels are averaged within each structure.
            A structure without a valid voxel does not count.

    Returns:
        Scalar; 0 where nothing is valid.
    """
    target = target.float()
    terms = F.binary_cross_entropy_with_logits(scores.float(), target, reduction="none")
    if weights is not None:
        shape = (1, -1, *[1] * (target.ndim - 2))
        terms = terms * (target * weights[:, 1].view(shape) + (1 - target) * weights[:, 0].view(shape))
    mask = valid.expand_as(terms).to(terms)
    counts = mask.transpose(0, 1).flatten(1).sum(1)
    each = (terms * mask).transpose(0, 1).flatten(1).sum(1) / counts.clamp_min(1)
    return each.sum() if reduction == "sum" else each.sum() / counts.count_nonzero().clamp_min(1)
