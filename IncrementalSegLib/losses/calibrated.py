"""Calibrated distillation: each class and voxel weighs as much as its affinity says (PCDD, Eq. 7 and 9)."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from IncrementalSegLib.losses.classes import masked_mean

Direction = Literal["teacher_student", "student_teacher"]
Form = Literal["generalised", "plain"]


def calibrated_distillation(divergences: Tensor, weights: Tensor, region: Tensor) -> Tensor:
    """Return ``sum_c a_c KL_c``, averaged over the voxels of a region.

    Args:
        divergences: ``(B, K, *S)`` of K columns, from :func:`divergence`.
        weights: ``(B, K, *S)`` affinities, without gradient.
        region: ``(B, *S)`` bool.

    Returns:
        Scalar: a sum over classes, a mean over voxels; 0 where the region is empty.
    """
    return masked_mean((weights * divergences).sum(1), region)


def divergence(
    present: Tensor, teacher: Tensor, direction: Direction = "teacher_student", form: Form = "generalised"
) -> Tensor:
    """Return how far each class's probability lies from the previous model's, voxel by voxel.

    The paper prints the KL of two single probabilities, ``p log(p / q)``.  That is no divergence: it may be
    negative, and with weights per class it is least where ``q`` is proportional to ``a p``, not at ``p``.
    The generalised form ``p log(p / q) - p + q`` is never negative and 0 at ``p = q`` alone, whatever the
    weights.

    Args:
        present: ``(B, K, *S)`` log-probabilities of the model.
        teacher: ``(B, K, *S)`` log-probabilities of the previous model.
        direction: ``teacher_student``: KL(teacher || student), as in all methods it builds on;
            ``student_teacher``: as printed.
        form: ``generalised`` or ``plain``, as printed.

    Returns:
        ``(B, K, *S)``.
    """
    first, second = (teacher, present) if direction == "teacher_student" else (present, teacher)
    probability = first.exp()
    plain = probability * (first - second)
    return plain if form == "plain" else plain - probability + second.exp()
