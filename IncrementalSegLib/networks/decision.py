"""From probabilities to masks: the one place where it is decided what lies at a voxel."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor


def decide(probability: Tensor, exclusive: bool) -> Tensor:
    """Return which structures lie at each voxel.

    Args:
        probability: ``(K, *S)``, 0..1, of all structures of the model where they exclude each other.
        exclusive: At most one structure can lie at a voxel: the most probable one, unless what the
            structures leave to the background is more.  Otherwise each lies where its own reaches one half.

    Returns:
        ``(K, *S)`` bool.
    """
    if not exclusive:
        return probability >= 0.5
    best, winner = probability.max(dim=0)
    found = best > 1 - probability.sum(dim=0)
    rows = torch.arange(len(probability), device=probability.device).view(-1, *[1] * winner.ndim)
    return (rows == winner) & found


def joined(parts: Iterable[Tensor]) -> Tensor:
    """Return the probabilities of structures that exclude each other and were scored apart.

    What was decided for a structure holds; those of the parts behind share the background of the parts before.

    Args:
        parts: Each ``(K, *S)``, 0..1, of all structures; 0 of those that another part scores.
    """
    first, *others = parts
    found = first.clone()
    for part in others:
        later = part.masked_fill(decide(found, exclusive=True).any(dim=0), 0.0)
        found = found * (1 - later.sum(dim=0)) + later
    return found
