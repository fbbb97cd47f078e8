"""Alignment of class means with those of the previous model."""

from __future__ import annotations

from torch import Tensor


def prototype_alignment(means: Tensor, targets: Tensor, present: Tensor) -> Tensor:
    """Return the squared distances of class means from their targets, averaged over classes (PCDD, Eq. 12).

    Args:
        means: ``(K, F)``.
        targets: ``(K, F)``, without gradient.
        present: ``(K,)`` bool; a class that is absent counts as one without distance.

    Returns:
        Scalar float32.
    """
    distances = (means - targets.detach()).square().sum(1)
    return ((distances * present).sum() / max(len(means), 1)).float()
