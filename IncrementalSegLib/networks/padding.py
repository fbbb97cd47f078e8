"""Sizes that a network with poolings can take."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional as F


def pad_to_multiple(image: Tensor, multiple: int, multiples: Sequence[int] = ()) -> Tensor:
    """Repeat the last samples of ``(B, C, *S)`` until each spatial size is a multiple of ``multiple``.

    Padding lies at the far end of each axis, so ``[..., :H, :W]`` undoes it.

    Args:
        image: The image.
        multiple: For every axis.
        multiples: For each axis, where they differ.
    """
    steps = multiples or (multiple,) * (image.ndim - 2)
    missing = [-size % step for size, step in zip(image.shape[2:], steps, strict=True)]
    if not any(missing):
        return image
    pairs = [value for amount in reversed(missing) for value in (0, amount)]
    return F.pad(image, pairs, mode="replicate")


def crop_to(array: Tensor, sizes: tuple[int, ...]) -> Tensor:
    """Return the first samples of ``(..., *S)`` along the last ``len(sizes)`` axes."""
    for axis, size in zip(range(-len(sizes), 0), sizes, strict=True):
        array = array.narrow(axis, 0, size)
    return array
