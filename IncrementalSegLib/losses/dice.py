"""Soft Dice, the same for every family."""

from __future__ import annotations

from monai.losses import DiceLoss
from torch import Tensor


def soft_dice(probability: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Return one minus the soft Dice of each structure over the whole batch, averaged over structures.

    Beside cross-entropy our own choice: without it thin structures are not learned in short schedules.
    A structure that no item of the batch looked for does not count.

    Args:
        probability: ``(B, K, *S)`` float32, 0..1.
        target: ``(B, K, *S)`` 0 or 1.
        valid: ``(B, K, *S)`` bool; voxels that count, broadcastable.

    Returns:
        Scalar; 0 where nothing is valid.
    """
    mask = valid.expand_as(target).float()
    per_structure = DiceLoss(batch=True, reduction="none")(probability * mask, target.float() * mask).flatten()
    counted = mask.transpose(0, 1).flatten(1).any(1)
    term: Tensor = (per_structure * counted).sum() / counted.sum().clamp_min(1)
    return term
