"""Losses of the head family: each structure has its own two-way softmax.

For two logits the softmax of the foreground is the sigmoid of their difference, so every term is written
on ``foreground - background`` and computed in float32.
"""

from __future__ import annotations

import torch
from torch import Tensor

from IncrementalSegLib.losses import dice
from IncrementalSegLib.losses.sigmoid import binary_cross_entropy


def margin(logits: Tensor) -> Tensor:
    """Return foreground minus background ``(B, K, *S)`` of logits ``(B, K, 2, *S)``, in float32."""
    logits = logits.float()
    return logits[:, :, 1] - logits[:, :, 0]


def cross_entropy(
    logits: Tensor, target: Tensor, valid: Tensor, weights: Tensor | None = None, reduction: str = "mean"
) -> Tensor:
    """Return the cross-entropy of each head's softmax against hard or soft targets.

    With hard targets this is L_c of Ozdemir 2018, with teacher probabilities L_d of Eq. 2 with the minus
    and the mean over pixels that the print lacks.  With ``weights`` it is the weighted form of the 2019
    code: ``[sum_j t_j w_j] * [-sum_j t_j log y_j]``.

    Args:
        logits: ``(B, K, 2, *S)``.
        target: ``(B, K, *S)`` foreground probability, 0..1.
        valid: ``(B, K, *S)`` bool; voxels that count, broadcastable.
        weights: ``(K, 2)`` weights of background and foreground, or ``None``.
        reduction: How heads are joined: ``sum`` or ``mean``; voxels are averaged within each head.

    Returns:
        Scalar; 0 where nothing is valid.
    """
    return binary_cross_entropy(margin(logits), target, valid, weights, reduction)


def soft_dice(logits: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Return one minus the soft Dice of each head, averaged over heads; see :func:`losses.dice.soft_dice`.

    Args:
        logits: ``(B, K, 2, *S)``.
        target: ``(B, K, *S)`` 0 or 1.
        valid: ``(B, K, *S)`` bool; voxels that count, broadcastable.
    """
    return dice.soft_dice(torch.sigmoid(margin(logits)), target, valid)


def inverse_frequency(counts: Tensor) -> Tensor:
    """Return weights ``(K, 2)`` inverse to the voxel ``counts`` ``(K, 2)``, each row summing to 1 (2019 code)."""
    ratio = counts.amax(dim=1, keepdim=True) / counts.clamp_min(1)
    return ratio / ratio.sum(dim=1, keepdim=True)
