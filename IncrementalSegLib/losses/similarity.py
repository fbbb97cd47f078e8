"""Class-similarity weighted distillation (Phan et al., CVPR 2022, REMINDER, Eq. 5-7)."""

from __future__ import annotations

from torch import Tensor

from IncrementalSegLib.losses.classes import masked_mean


def similarity_weighted_distillation(
    logits: Tensor, teacher: Tensor, label: Tensor, weights: Tensor, temperature: float
) -> Tensor:
    """Return the distillation that binds a new structure to the old ones it resembles.

    At each voxel of a new structure, ``-sum_c p_c r_c log q_c`` with the weights r of that structure.

    Args:
        logits: ``(B, C, *S)`` of the model, the columns of the C old classes alone.
        teacher: ``(B, C, *S)`` of the previous model, the same columns.
        label: ``(B, *S)`` int64, row of ``weights`` at each voxel, or -1 where the term does not apply.
        weights: ``(K, C)``, how alike each of K new structures is to each old class.
        temperature: Of both softmaxes; the term is scaled by its square.

    Returns:
        Scalar: a sum over classes, a mean over the voxels where the term applies; 0 where there is none.
    """
    target = (teacher.float() / temperature).softmax(1)
    present = (logits.float() / temperature).log_softmax(1)
    alike = weights.float()[label.clamp_min(0)].movedim(-1, 1)
    return temperature**2 * masked_mean(-(target * alike * present).sum(1), label >= 0)
