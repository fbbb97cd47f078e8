"""Losses of the class family: one softmax over the background and all structures.

*Column* means a position on the axis of the logits: 0 is the background, the others are structures.  All
terms are means over voxels, in float32; each says whether it is a sum or a mean over classes.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from IncrementalSegLib.networks.host import picked, sent


def unbiased_cross_entropy(logits: Tensor, target: Tensor, hidden: Tensor, valid: Tensor) -> Tensor:
    """Return the mean of :func:`unbiased_cross_entropies` over the ``(B, *S)`` bool voxels that are ``valid``.

    Returns:
        Scalar; 0 where nothing is valid.
    """
    return masked_mean(unbiased_cross_entropies(logits, target, hidden), valid)


def unbiased_cross_entropies(logits: Tensor, target: Tensor, hidden: Tensor) -> Tensor:
    """Return each voxel's cross-entropy in which unlabelled is not background (MiB, Eq. 3).

    A labelled voxel counts as usual.  At a voxel labelled 0 lies the background or any structure that may
    hide there, so the probability of all of these together is raised.  With nothing hidden this is the
    plain cross-entropy.  Written on logarithms, so that no probability is lost to rounding.

    Args:
        logits: ``(B, 1 + N, *S)``.
        target: ``(B, *S)`` int64, column of what lies at each voxel.
        hidden: ``(B, 1 + N)`` bool on the CPU, True for the columns that may lie under label 0; column 0 always.

    Returns:
        ``(B, *S)`` float32.
    """
    scores = logits.float().log_softmax(1)
    some = hidden.any(0).nonzero().flatten().tolist()
    under = picked(scores, some)
    if not hidden[:, some].all():  # items differ in what was looked for
        absent = ~hidden[:, some].view(*under.shape[:2], *[1] * (under.ndim - 2))
        under = under.masked_fill(sent(absent, under), -torch.inf)
    labelled = scores.gather(1, target.unsqueeze(1)).squeeze(1)
    return -torch.where(target == 0, under.logsumexp(1), labelled)


def merged_log_softmax(logits: Tensor, kept: Sequence[int]) -> Tensor:
    """Return log-probabilities ``(B, 1 + len(kept), *S)`` with everything that is not kept in column 0.

    What a model with more structures says in the terms of one that knows only those in ``kept``
    (MiB, Eq. 5): there all others were background.

    Args:
        logits: ``(B, 1 + N, *S)``.
        kept: Columns of the structures kept, none of them 0.
    """
    scores = logits.float()
    rest = [column for column in range(logits.shape[1]) if column not in kept]
    merged = [picked(scores, rest).logsumexp(1, keepdim=True), picked(scores, kept)]
    return torch.cat(merged, dim=1).log_softmax(1)


def soft_cross_entropy(log_probability: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Return ``-sum_c target_c log_probability_c``, averaged over voxels.

    Args:
        log_probability: ``(B, C, *S)``.
        target: ``(B, C, *S)``, probabilities or weights of the classes.
        valid: ``(B, *S)`` bool; voxels that count.
    """
    return masked_mean(-(target * log_probability).sum(1), valid)


def distillation(
    logits: Tensor,
    teacher: Tensor,
    student_columns: Sequence[int],
    teacher_columns: Sequence[int],
    valid: Tensor,
    temperature: float = 1.0,
) -> Tensor:
    """Return the distillation among the old columns alone (LwF in the form of MiB's comparison).

    Args:
        logits: ``(B, 1 + N, *S)`` of the model.
        teacher: ``(B, 1 + M, *S)`` of the previous model.
        student_columns: Columns of the old structures in ``logits``.
        teacher_columns: Columns of the same structures in ``teacher``.
        valid: ``(B, *S)`` bool; voxels that count.
        temperature: Of both softmaxes; the term is scaled by its square.

    Returns:
        Scalar: a mean over classes, as the authors weight it; times ``1 + len(student_columns)`` it is the sum.
    """
    target = (picked(teacher, [0, *teacher_columns]).float() / temperature).softmax(1)
    present = (picked(logits, [0, *student_columns]).float() / temperature).log_softmax(1)
    return temperature**2 * soft_cross_entropy(present, target, valid) / target.shape[1]


def unbiased_distillation(
    logits: Tensor, teacher: Tensor, student_columns: Sequence[int], teacher_columns: Sequence[int], valid: Tensor
) -> Tensor:
    """Return the distillation in which new structures count as what they were before: background (MiB, Eq. 4-5).

    With no new structure this is the plain distillation.

    Args:
        logits: ``(B, 1 + N, *S)`` of the model.
        teacher: ``(B, 1 + M, *S)`` of the previous model.
        student_columns: Columns of the old structures in ``logits``.
        teacher_columns: Columns of the same structures in ``teacher``.
        valid: ``(B, *S)`` bool; voxels that count.

    Returns:
        Scalar: a mean over classes, as the authors weight it; times ``1 + len(student_columns)`` it is the sum.
    """
    target = merged_log_softmax(teacher, teacher_columns).exp()
    return soft_cross_entropy(merged_log_softmax(logits, student_columns), target, valid) / target.shape[1]


def masked_mean(values: Tensor, valid: Tensor) -> Tensor:
    """Return the mean of ``values`` where ``valid``, both ``(B, *S)``; 0 where nothing is valid."""
    return (values * valid).sum() / valid.sum().clamp_min(1)
