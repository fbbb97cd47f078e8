"""Relations between class means: held as they were, and sharpened (CoNuSeg, PRD and PCON)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

_TEMPERATURE = 0.1
"""Of the softmax over prototypes."""


def relation_distillation(
    means: Tensor, teacher: Tensor, temperature: float = 0.2, teacher_temperature: float = 0.01
) -> Tensor:
    """Return the cross-entropy between how classes resemble each other now and before.

    Args:
        means: ``(K, F)`` of the classes present, averages of unit vectors.
        teacher: ``(K, F)``, the same of the previous model, without gradient.
        temperature: Of the softmax over a class's likeness to the others.
        teacher_temperature: The same for the previous model.

    Returns:
        Scalar float32, a mean over classes; 0 with fewer than three, which have no relations to lose.
    """
    others = ~torch.eye(len(means), dtype=torch.bool, device=means.device)

    def likeness(vectors: Tensor) -> Tensor:
        return (vectors @ vectors.T)[others].view(len(vectors), max(len(vectors) - 1, 0))

    target = (likeness(teacher.detach()) / teacher_temperature).softmax(1)
    present = (likeness(means) / temperature).log_softmax(1)
    return -(target * present).sum().float() / max(len(means), 1)


def prototype_contrast(means: Tensor, prototypes: Tensor, rows: Tensor) -> Tensor:
    """Return how well each class's mean in the batch is told from the prototypes of other classes (InfoNCE).

    Args:
        means: ``(K, F)`` of the classes present, averages of unit vectors.
        prototypes: ``(M, F)`` unit vectors, without gradient.
        rows: ``(K,)`` int64, row of each class in ``prototypes``.

    Returns:
        Scalar float32, a mean over classes; 0 without any.
    """
    scores = means @ prototypes.detach().T / _TEMPERATURE
    return F.cross_entropy(scores, rows, reduction="sum").float() / max(len(means), 1)
