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
    counts = (masks != 0).movedim(1, 0).flatten(1).sum(1)
    return _weighted_sums(features, masks) / counts.clamp(min=1).unsqueeze(1), counts


def weighted_means(features: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Average feature vectors with a weight per voxel.

    Args:
        features: ``(B, F, *S)``, finite.
        weights: ``(B, K, *S)``, not negative.

    Returns:
        Means ``(K, F)`` and total weights ``(K,)``, float64; a mean is zero where the weights are.

    Raises:
        ValueError: Batch or spatial sizes differ.
    """
    totals = weights.double().movedim(1, 0).flatten(1).sum(1)
    return _weighted_sums(features, weights) / torch.where(totals > 0, totals, 1).unsqueeze(1), totals


def _weighted_sums(features: Tensor, weights: Tensor) -> Tensor:
    """Return ``(K, F)`` float64."""
    if features.shape[0] != weights.shape[0] or features.shape[2:] != weights.shape[2:]:
        raise ValueError(f"features {tuple(features.shape)} and masks {tuple(weights.shape)} do not match")
    sums = features.new_zeros((weights.shape[1], features.shape[1]), dtype=torch.float64)
    for vectors, weight in zip(
        features.flatten(2), weights.flatten(2), strict=True
    ):  # item by item bounds the float64 copy
        sums += weight.double() @ vectors.double().movedim(0, -1)
    return sums
