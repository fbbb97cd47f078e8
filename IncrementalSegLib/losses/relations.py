"""Relations between class means: held as they were, and sharpened (CoNuSeg, PRD and PCON)."""

from __future__ import annotations

import torch
from torch import Tensor

from IncrementalSegLib.losses.classes import masked_mean

_TEMPERATURE = 0.1
"""Of the softmax over prototypes."""

_NEVER = -1e6
"""Score of what takes no part in a softmax: finite, so that a row of nothing else has a gradient."""


def relation_distillation(
    means: Tensor, teacher: Tensor, present: Tensor, temperature: float = 0.2, teacher_temperature: float = 0.01
) -> Tensor:
    """Return the cross-entropy between how classes resemble each other now and before.

    Args:
        means: ``(K, F)``, averages of unit vectors.
        teacher: ``(K, F)``, the same of the previous model, without gradient.
        present: ``(K,)`` bool; the classes that count.
        temperature: Of the softmax over a class's likeness to the others.
        teacher_temperature: The same for the previous model.

    Returns:
        Scalar float32, a mean over classes; 0 with fewer than three, which have no relations to lose.
    """
    apart = ~torch.eye(len(means), dtype=torch.bool, device=means.device)
    pairs = present.unsqueeze(0) & present.unsqueeze(1) & apart

    def likeness(vectors: Tensor, divisor: float) -> Tensor:
        return (vectors @ vectors.T / divisor).masked_fill(~pairs, _NEVER)

    target = likeness(teacher.detach(), teacher_temperature).softmax(1)
    logarithm = likeness(means, temperature).log_softmax(1)
    total = -torch.where(pairs, target * logarithm, 0.0).sum()
    return (total / present.sum().clamp_min(1)).float()


def prototype_contrast(means: Tensor, prototypes: Tensor, known: Tensor, present: Tensor) -> Tensor:
    """Return how well each class's mean in the batch is told from the prototypes of other classes (InfoNCE).

    Args:
        means: ``(K, F)``, averages of unit vectors.
        prototypes: ``(K, F)`` unit vectors of the same classes, without gradient.
        known: ``(K,)`` bool; the classes that have a prototype.
        present: ``(K,)`` bool; the classes that count, all of them known.

    Returns:
        Scalar float32, a mean over classes; 0 without any.
    """
    scores = (means @ prototypes.detach().T / _TEMPERATURE).masked_fill(~known, _NEVER)
    return masked_mean(-scores.log_softmax(1).diagonal(), present).float()
