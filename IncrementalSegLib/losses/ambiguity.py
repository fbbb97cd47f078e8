"""Losses for scans that are annotated in part: an unlabelled voxel is background or what was not looked for.

Chen et al., CVPR 2024 (Versatile), as the authors' code has them for whole annotated scans.
"""

from __future__ import annotations

import torch
from torch import Tensor

from IncrementalSegLib.losses.classes import masked_mean
from IncrementalSegLib.networks.host import sent


def focal(cross_entropies: Tensor, focus: float) -> Tensor:
    """Return ``(1 - p)^focus * -log p`` for cross-entropies ``-log p`` of any shape; certain voxels count less."""
    return (-torch.expm1(-cross_entropies)).clamp_min(0) ** focus * cross_entropies if focus else cross_entropies


def ambiguous_dice(logits: Tensor, column: Tensor, hidden: Tensor, valid: Tensor, smooth: float = 1.0) -> Tensor:
    """Return one minus the soft Dice of the labels that occur in each item, averaged over labels, then over items.

    Unlabelled is a label too: its probability is that of all columns that may hide there.

    Args:
        logits: ``(B, 1 + N, *S)``.
        column: ``(B, *S)`` int64, column of what is labelled at each voxel, 0 where nothing is.
        hidden: ``(B, 1 + N)`` bool on the CPU, True for the columns that may lie under label 0; column 0 always.
        valid: ``(B, *S)`` bool; voxels that count.
        smooth: Added to numerator and denominator.

    Returns:
        Scalar; 0 where nothing is valid.
    """
    probability = logits.float().softmax(1)
    spread = sent(hidden.view(*hidden.shape, *[1] * (logits.ndim - 2)), probability)
    under = (probability * spread).sum(1, keepdim=True)
    found = (torch.cat([under, probability[:, 1:]], dim=1) * valid.unsqueeze(1)).flatten(2)
    each = torch.arange(logits.shape[1], device=column.device).view(-1, *[1] * (column.ndim - 1))
    truth = ((column.unsqueeze(1) == each) & valid.unsqueeze(1)).flatten(2)
    dice = (2 * (found * truth).sum(2) + smooth) / (found.sum(2) + truth.sum(2) + smooth)
    occurs = truth.any(2)
    labels = occurs.sum(1)
    per_item = ((1 - dice) * occurs).sum(1) / labels.clamp_min(1)
    return per_item.sum() / labels.count_nonzero().clamp_min(1)


def mean_entropy(logits: Tensor, column: Tensor, valid: Tensor, unlabelled: float = 3.0) -> Tensor:
    """Return the mean entropy of the softmax; minimised, it makes the network decide.

    Args:
        logits: ``(B, 1 + N, *S)``.
        column: ``(B, *S)`` int64, column of what is labelled at each voxel, 0 where nothing is.
        valid: ``(B, *S)`` bool; voxels that count.
        unlabelled: Weight of an item without a labelled voxel; other items weigh 1.

    Returns:
        Scalar, in nats; 0 where nothing is valid.
    """
    logarithm = logits.float().log_softmax(1)
    entropies = -(logarithm.exp() * logarithm).sum(1)
    labelled = (column * valid).flatten(1).any(1)
    weight = torch.where(labelled, 1.0, unlabelled).view(-1, *[1] * (column.ndim - 1))
    return masked_mean(entropies * weight, valid)
