"""Cosines between features and prototypes, and between prototypes."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

_SHORTEST = 1e-8  # a vector of length zero has cosine 0 with everything, not NaN


def class_cosines(one: Tensor, other: Tensor) -> Tensor:
    """Return the cosine of each vector with each of another set: how alike classes are (REMINDER, Eq. 4).

    Args:
        one: ``(K, F)`` means, of one kind or of a batch.
        other: ``(M, F)`` means.

    Returns:
        ``(K, M)``, -1..1, in the precision of the inputs and with their gradient; 0 for a class without voxels.
    """
    with torch.autocast(one.device.type, enabled=False):
        return F.normalize(one, dim=1, eps=_SHORTEST) @ F.normalize(other, dim=1, eps=_SHORTEST).T


def voxel_cosines(features: Tensor, prototypes: Tensor) -> Tensor:
    """Return the cosine of the features at each voxel with each prototype (PCDD, Eq. 6 and 8).

    Args:
        features: ``(B, F, *S)``.
        prototypes: ``(K, F)``.

    Returns:
        ``(B, K, *S)`` float32, whatever the precision around; 0 where the features are all zero.
    """
    with torch.autocast(features.device.type, enabled=False):
        vectors = features.float()
        directions = F.normalize(prototypes.to(vectors), dim=1, eps=_SHORTEST)
        along = (directions @ vectors.flatten(2)).unflatten(2, vectors.shape[2:])
        cosines: Tensor = along / vectors.norm(dim=1, keepdim=True).clamp_min(_SHORTEST)
        return cosines


@torch.no_grad()
def affinities(features: Tensor, prototypes: Tensor, known: Tensor, temperature: float = 1.0) -> Tensor:
    """Return how much each voxel belongs to each class, by its nearness to the prototypes (PCDD, Eq. 6 and 8).

    Without gradient: a network must not lower its loss by moving features to where the loss weighs less.

    Args:
        features: ``(B, F, *S)``.
        prototypes: ``(K, F)``.
        known: ``(K,)`` bool, False for classes without a prototype; their affinity is 0.
        temperature: Divides the cosines before the softmax; the paper has none (1).

    Returns:
        ``(B, K, *S)`` float32, sums to 1 over the known classes.
    """
    cosines = voxel_cosines(features, prototypes) / temperature
    unknown = ~known.view(-1, *[1] * (features.ndim - 2))
    return cosines.masked_fill(unknown, -torch.inf).softmax(1).nan_to_num(0.0)
