"""Pseudo-labels: what the previous model finds where the step has no label.

*Column* means a position on the axis of the logits, as in ``losses/classes.py``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from IncrementalSegLib.networks.host import sent


@dataclass(frozen=True)
class PseudoLabels:
    """Labels of the step together with what the previous model is sure of.

    Attributes:
        column: ``(B, *S)`` int64: the step's label; where there is none the previous model's where it is
            sure; else 0.
        accepted: ``(B, *S)`` bool, True where the previous model decided, be it for the background.
        rejected: ``(B, *S)`` bool, True where there is no label and the previous model is not sure either.
    """

    column: Tensor
    accepted: Tensor
    rejected: Tensor

    def share(self, valid: Tensor) -> Tensor:
        """Return the share ``(B,)`` 0..1 of each item's unlabelled voxels that was accepted (PLOP, Eq. 10).

        Args:
            valid: ``(B, *S)`` bool; voxels that count.

        Returns:
            float32; 1 where an item has no unlabelled voxel.
        """
        accepted = (self.accepted & valid).flatten(1).sum(1)
        unlabelled = accepted + (self.rejected & valid).flatten(1).sum(1)
        return torch.where(unlabelled > 0, accepted / unlabelled.clamp_min(1), 1.0)


def pseudo_labels(
    column: Tensor, probability: Tensor, student_columns: Sequence[int], threshold: float | Tensor = math.inf
) -> PseudoLabels:
    """Fill what the step left unlabelled with what the previous model finds there (PLOP, Eq. 8; PCDD, Eq. 4).

    The previous model is sure where its entropy lies below the threshold of the class it finds.

    Args:
        column: ``(B, *S)`` int64, column of what is labelled at each voxel, 0 where nothing is.
        probability: ``(B, 1 + M, *S)`` of the previous model: the background, then M structures.
        student_columns: Columns of these M structures in the model's logits.
        threshold: On the entropy as :func:`entropy` returns it: one for all, or ``(1 + M,)``, one for the
            background and each structure.
    """
    winner = probability.argmax(1)
    limit = threshold[winner] if isinstance(threshold, Tensor) else threshold
    unlabelled = column == 0
    accepted = unlabelled & (entropy(probability) < limit)
    found = sent([0, *student_columns], column)[winner]
    return PseudoLabels(torch.where(accepted, found, column), accepted, unlabelled & ~accepted)


def entropy(probability: Tensor) -> Tensor:
    """Return ``-sum_c p_c log p_c / log C``, 0 where one class is certain and 1 where all are alike.

    Normalised once.  PLOP's public code divides by log C twice and takes the mean over classes besides.

    Args:
        probability: ``(B, C, *S)``, sums to 1 over C.

    Returns:
        ``(B, *S)`` float32.
    """
    total: Tensor = torch.special.entr(probability.float()).sum(1)
    return total / math.log(max(probability.shape[1], 2))
