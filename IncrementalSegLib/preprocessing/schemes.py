"""Normalisation schemes of nnU-Net, channel by channel; see :mod:`.rules`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from IncrementalSegLib.errors import DataError
from IncrementalSegLib.preprocessing.rules import Intensity

_LEAST = 1e-8  # standard deviation, or greatest value, by which is divided at least
_BYTE = 255.0


def normalised(array: NDArray[Any], intensities: Sequence[Intensity]) -> Tensor:
    """Return a scan normalised by the schemes of its channels, float32 and finite.

    Args:
        array: ``(C, D, H, W)``; samples that are not finite take the least value of their channel.
        intensities: One for each channel.

    Raises:
        DataError: A channel that must hold bytes has values outside of 0 to 255.
    """
    image = finite(array)
    inside = None
    if any(item.masked for item in intensities):
        inside = ndimage.binary_fill_holes((image != 0).any(axis=0))
    for number, (channel, intensity) in enumerate(zip(image, intensities, strict=True)):
        _normalise(channel, intensity, inside if intensity.masked else None, number)
    return torch.from_numpy(image)


def finite(array: NDArray[Any]) -> NDArray[np.float32]:
    """Return a scan ``(C, D, H, W)`` as float32; samples that are not finite take the least value of their channel."""
    image = np.array(array, dtype=np.float32, order="C")
    for channel in image:
        known = np.isfinite(channel)
        if not known.all():
            channel[~known] = channel[known].min() if known.any() else 0
    return image


def _normalise(
    channel: NDArray[np.float32], intensity: Intensity, inside: NDArray[np.bool_] | None, number: int
) -> None:
    match intensity.scheme:
        case "zscore":
            seen = channel if inside is None else channel[inside]
            if seen.size:
                seen = (seen - seen.mean()) / max(float(seen.std()), _LEAST)
                channel[... if inside is None else inside] = seen
        case "ct":
            np.clip(channel, intensity.low, intensity.high, out=channel)
            channel -= intensity.mean
            channel /= max(intensity.deviation, _LEAST)
        case "rescale":
            channel -= channel.min()
            channel /= max(float(channel.max()), _LEAST)
        case "rgb":
            if channel.min() < 0 or channel.max() > _BYTE:
                raise DataError(
                    f"Channel {number} has values from {channel.min():g} to {channel.max():g}.",
                    "The model takes it for a colour of 8 bits, 0 to 255.",
                    "Save the picture with 8 bits for each colour.",
                )
            channel /= _BYTE
