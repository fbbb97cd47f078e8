"""Room around an image that is smaller than what the network takes."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional as F


def centred(image: Tensor, sizes: Sequence[int], value: float) -> tuple[Tensor, tuple[slice, ...]]:
    """Put an image into the middle of a larger one.

    Args:
        image: ``(C, D, H, W)``.
        sizes: Samples along D, H, W of the result, no fewer than the image has.
        value: Of the samples around it.

    Returns:
        The larger image, and where the image lies in it along D, H, W.
    """
    if list(sizes) == list(image.shape[1:]):
        return image, (slice(None), slice(None), slice(None))
    starts = [(room - size) // 2 for size, room in zip(image.shape[1:], sizes, strict=True)]
    padding: list[int] = []
    for size, room, start in zip(reversed(image.shape[1:]), reversed(sizes), reversed(starts), strict=True):
        padding += [start, room - size - start]
    where = tuple(slice(start, start + size) for start, size in zip(starts, image.shape[1:], strict=True))
    return F.pad(image, padding, value=value), where
