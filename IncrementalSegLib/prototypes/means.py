"""Means of features over masks."""

from __future__ import annotations

import torch
from torch import Tensor


def masked_means(features: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """Average the feature vectors that lie under each mask (PCDD, Eq. 2).

    The channel axis is moved last before voxels are picked.  Public code of this field reshapes
    ``features[mask]`` with ``view(C, -1)`` instead, which mixes channels as soon as the batch has two items.

    Args:
        features: ``(B, F, *S)``, finite.
        masks: ``(B, K, *S)``, 0 or 1.

    Returns:
        Means ``(K, F)`` float64, zero where a mask is empty, and voxel counts ``(K,)`` int64.

    Raises:
        ValueError: Batch or spatial sizes differ.
    """
    if features.shape[0] != masks.shape[0] or features.shape[2:] != masks.shape[2:]:
        raise ValueError(f"features {tuple(features.shape)} and masks {tuple(masks.shape)} do not match")
    sums = features.new_zeros((masks.shape[1], features.shape[1]), dtype=torch.float64)
    for vectors, mask in zip(
        features.flatten(2), masks.flatten(2), strict=True
    ):  # item by item bounds the float64 copy
        sums += mask.double() @ vectors.double().movedim(0, -1)
    counts = (masks != 0).movedim(1, 0).flatten(1).sum(1)
    return sums / counts.clamp(min=1).unsqueeze(1), counts
