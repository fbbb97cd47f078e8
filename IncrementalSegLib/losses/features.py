"""Distances of feature maps in which padding does not count."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional as F


def valid_share(valid: Tensor, size: Sequence[int]) -> Tensor:
    """Return the share of valid voxels under each voxel of a coarser map.

    Args:
        valid: ``(B, *S)`` bool.
        size: Spatial size of the map, ``S`` or a whole fraction of it.

    Returns:
        ``(B, 1, *size)`` float32, 0..1.
    """
    share: Tensor = F.interpolate(valid.unsqueeze(1).float(), size=list(size), mode="area")
    return share


def squared_distance(features: Tensor, teacher: Tensor, valid: Tensor) -> Tensor:
    """Return the mean squared difference of two maps over channels and valid voxels (ILT, Eq. 5).

    Args:
        features: ``(B, F, *s)`` of the model.
        teacher: ``(B, F, *s)`` of the previous model.
        valid: ``(B, *S)`` bool at full resolution; a coarse voxel counts by the share of it that is valid.

    Returns:
        Scalar float32; 0 where nothing is valid.
    """
    share = valid_share(valid, features.shape[2:])
    squares = (features.float() - teacher.float()).square().mean(1, keepdim=True)
    distance: Tensor = (squares * share).sum() / share.sum().clamp_min(1e-6)
    return distance
