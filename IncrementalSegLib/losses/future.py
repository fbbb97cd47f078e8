"""Structures that may come: told apart from the background, and received from it (InSeg)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from IncrementalSegLib.losses.classes import masked_mean, merged_log_softmax, soft_cross_entropy
from IncrementalSegLib.networks.host import picked, sent


def background_split(cosines: Tensor, future: Tensor, valid: Tensor, temperature: float = 0.1) -> Tensor:
    """Return the cross-entropy of telling voxels of future structures from the rest of the background.

    A softmax with a channel for the future has the cross-entropy of background and future together plus
    this one, within the two.  Here nearness to the means of both groups replaces the channel.

    Args:
        cosines: ``(B, 2, *S)`` of each voxel with the mean of the background and that of the future.
        future: ``(B, *S)`` bool, True for the future.
        valid: ``(B, *S)`` bool, the background.
        temperature: Divides the cosines.
    """
    return masked_mean(F.cross_entropy(cosines / temperature, future.long(), reduction="none"), valid)


def compatible_distillation(
    logits: Tensor,
    teacher: Tensor,
    student_columns: Sequence[int],
    teacher_columns: Sequence[int],
    column: Tensor,
    hidden: Tensor,
    valid: Tensor,
) -> Tensor:
    """Return the distillation in which a labelled structure receives what was background to the previous model.

    Args:
        logits: ``(B, 1 + N, *S)`` of the model.
        teacher: ``(B, 1 + M, *S)`` of the previous model.
        student_columns: Columns of the old structures in ``logits``.
        teacher_columns: Columns of the same structures in ``teacher``.
        column: ``(B, *S)`` int64, column of what is labelled at each voxel, 0 where nothing is.
        hidden: ``(B, 1 + N)`` bool on the CPU, columns that may lie under label 0; column 0 always.
        valid: ``(B, *S)`` bool; voxels that count.

    Returns:
        Scalar: a mean over classes; times ``1 + len(student_columns)`` it is the sum.
    """
    target = merged_log_softmax(teacher, teacher_columns).exp()
    present = logits.float().log_softmax(1)
    shown = hidden.clone()
    shown[:, list(student_columns)] = False
    absent = sent(~shown.view(*shown.shape, *[1] * (logits.ndim - 2)), present)
    unlabelled = present.masked_fill(absent, -torch.inf).logsumexp(1)
    labelled = (column > 0) & ~torch.isin(column, sent(student_columns, column))
    receiver = torch.where(labelled, present.gather(1, column.unsqueeze(1)).squeeze(1), unlabelled)
    placed = torch.cat([receiver.unsqueeze(1), picked(present, student_columns)], dim=1)
    return soft_cross_entropy(placed, target, valid) / target.shape[1]
