"""Shape of the feature space: attraction, repulsion and sparsity (SDR, Sec. 4.2-4.3)."""

from __future__ import annotations

import torch
from torch import Tensor

from IncrementalSegLib.losses.classes import masked_mean

_NEAREST = 1e-6  # squared distance added in repulsion, so that equal means have a finite term and gradient
_DEAD = 1e-8  # a class whose features are all zero is not scaled
_SPARSEST = 1e-2  # least sum of scaled features at a voxel; below, the ratio would grow without bound


def attraction(features: Tensor, labels: Tensor, means: Tensor) -> Tensor:
    """Return how far features lie from the mean of their class.

    Every class counts alike.  Public code divides the sum by the number of classes once per class, inside
    its loop, so that the first classes hardly count.

    Args:
        features: ``(B, F, *S)``.
        labels: ``(B, *S)`` int64, row of ``means`` at each voxel, or -1 where the term does not apply.
        means: ``(K, F)``, without gradient.

    Returns:
        Scalar: the squared distance, averaged over features, over the voxels of a class, and over classes.
    """
    target = means.detach().to(features.device, torch.float32)[labels.clamp_min(0)].movedim(-1, 1)
    return _per_class((features.float() - target).square().mean(1), labels, len(means))


def repulsion(means: Tensor, present: Tensor) -> Tensor:
    """Return the inverse distance between class means, averaged over pairs of classes present.

    Args:
        means: ``(K, F)``.
        present: ``(K,)`` bool; the classes that count.

    Returns:
        Scalar; 0 with fewer than two classes.
    """
    one, other = torch.triu_indices(len(means), len(means), offset=1, device=means.device)
    squared = (means.index_select(0, one) - means.index_select(0, other)).square().sum(1)
    return masked_mean((squared + _NEAREST).rsqrt(), present[one] & present[other])


def sparsity(features: Tensor, labels: Tensor, classes: int) -> Tensor:
    """Return ``sum_j exp(f_j) / sum_j f_j``, averaged over voxels; features are divided by the highest of their class.

    This is the authors' form.  Despite its name it is least where all features are at their highest: with k of
    n features at 1 and the others at 0 it is ``e - 1 + n / k``.

    Args:
        features: ``(B, F, *S)``, not negative.
        labels: ``(B, *S)`` int64, class 0..classes - 1 at each voxel, or -1 where the term does not apply.
        classes: Number of classes.

    Returns:
        Scalar; 0 where there is no voxel.
    """
    features = features.float()
    top = features.amax(1)
    highest = torch.stack([top.masked_fill(labels != row, 0).amax() for row in range(classes)])
    counted = labels >= 0
    scaled = features * (counted / highest.clamp_min(_DEAD)[labels.clamp_min(0)]).unsqueeze(1)
    ratio = scaled.exp().sum(1) / scaled.sum(1).clamp_min(_SPARSEST)
    return masked_mean(ratio, counted)


def _per_class(values: Tensor, labels: Tensor, classes: int) -> Tensor:
    """Average over the voxels of each class, then over the classes present."""
    masks = torch.stack([labels == row for row in range(classes)]).flatten(1)
    counts = masks.sum(1)
    sums = torch.where(masks, values.flatten(), 0).sum(1)
    return (sums / counts.clamp_min(1)).sum() / (counts > 0).sum().clamp_min(1)
