"""Local POD: distillation of pooled features (Douillard et al., CVPR 2021, PLOP, Eq. 3-6)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from IncrementalSegLib.losses.features import valid_share

SCALES = (1, 2, 4)
"""Cells per axis; the authors' values."""


def local_pod(
    features: Tensor, teacher: Tensor, valid: Tensor, scales: Sequence[int] = SCALES, relative: bool = False
) -> Tensor:
    """Return how far the pooled squares of two maps lie apart, over cells of several scales.

    At scale s a map is cut into s cells along each axis.  Within a cell the squared activations are averaged
    over all axes but one, which gives a profile along each axis: along H and W as in the paper, along D too
    in 3-D.  The term is the Euclidean norm over all profiles of an item, averaged over items.

    Every axis is cut by its own length, and cells are as even as they can be.  PLOP's public code cuts all
    axes by the last one's length and drops what remains.  What is not valid counts in no mean.

    Args:
        features: ``(B, F, *S)`` of the model.
        teacher: ``(B, F, *S)`` of the previous model.
        valid: ``(B, *R)`` bool, at the resolution of the maps or a multiple of it.
        scales: Cells per axis; an axis shorter than that has a cell per voxel.
        relative: Divide the term by the same mean over the previous model's profiles, so that the size of the
            activations does not matter; our own choice.
    """
    with torch.autocast(features.device.type, enabled=False):
        share = valid_share(valid, features.shape[2:])
        before = teacher.float().square() * share
        difference = features.float().square() * share - before  # pooling is linear
        distance: Tensor = torch.linalg.vector_norm(_profiles(difference, share, scales), dim=1).mean()
        if not relative:
            return distance
        norm = torch.linalg.vector_norm(_profiles(before, share, scales), dim=1).mean()
        return torch.where(norm > 0, distance / norm.clamp_min(1e-12), 0.0)


def _profiles(values: Tensor, share: Tensor, scales: Sequence[int]) -> Tensor:
    """Return ``(B, ...)``: the profiles of all scales and axes, means over what is valid."""
    profiles = []
    for scale in scales:
        for axis in range(2, values.ndim):
            total, counted = _profile(values, axis, scale), _profile(share, axis, scale)
            profiles.append(torch.where(counted > 0, total / counted.clamp_min(1e-6), 0.0).flatten(1))
    return torch.cat(profiles, dim=1)


def _profile(values: Tensor, along: int, cells: int) -> Tensor:
    """Return means over the cells of every spatial axis but ``along``, which stays as it is."""
    for axis in range(2, values.ndim):
        if axis != along:
            values = _cell_means(values, axis, cells)
    return values


def _cell_means(values: Tensor, axis: int, cells: int) -> Tensor:
    """Average one axis over even cells; as a product of matrices, whose gradient is deterministic."""
    size = values.shape[axis]
    cells = min(cells, size)
    cell = torch.arange(size, device=values.device) * cells // size
    member = (cell.unsqueeze(1) == torch.arange(cells, device=values.device)).to(values)
    means: Tensor = torch.tensordot(values, member / member.sum(0), dims=([axis], [0]))
    return means.movedim(-1, axis)
