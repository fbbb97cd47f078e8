"""Intensity normalisation: statistics of each channel without its padding, applied slab by slab.

Padding is what a scanner or a program wrote outside the field of view: the value that the file declares; else NaN, one
value below or above all others, or one constant value that fills the corners.  It counts in no statistic, and the
network sees it as air.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Normalisation: TypeAlias = Literal["zscore", "ct"]
Array: TypeAlias = NDArray[Any]

CLIP_PERCENT = (0.5, 99.5)
"""Percentiles to which intensities are clipped before the z-score."""

CT_WINDOW = (-1000.0, 1000.0)
"""Hounsfield units to which CT is clipped: air to cortical bone.

A narrower window or the percentiles of the structures of the first step would hide what a later step teaches.
"""

_CT_RANGE = 5.0  # normalised value of the upper end of the window: one unit is 200 HU
_SAMPLES = 2_000_000  # of more voxels that many are drawn at random: every n-th one repeats the same columns
_SPIKE = 0.001  # share of voxels with the least value; of fewer the percentiles take care
_FEWEST = 10  # voxels that can be a spike
_RUN = 3  # equal voxels from a corner along two axes that make it padding
_LONE = 0.25  # distance of a lone greatest value from the others, as a share of their range
_AIR, _BELOW_AIR, _TISSUE = (-1100, -900), (-1400, -1200), (-200, 300)  # Hounsfield units


@dataclass(frozen=True)
class ChannelScale:
    """Normalisation of one channel.

    Attributes:
        low: Smaller samples, and padding, become this one.
        high: Larger samples become this one.
        centre: Sample that becomes 0.
        scale: Factor after the centre is subtracted.
    """

    low: float
    high: float
    centre: float
    scale: float


class Normaliser:
    """Normalise a scan, any range of its slices at a time.

    Args:
        array: ``(C, D, H, W)``, any real dtype; NaN and infinite samples are padding.
        normalisation: ``zscore``: each channel is clipped to its percentiles and gets mean 0 and standard
            deviation 1 (scans without a common unit, such as MR); ``ct``: Hounsfield units are clipped to a window.
        clip_percent: Percentiles of the z-score, 0..100.
        window: Window of ``ct`` in Hounsfield units.
        padding: Value of each channel that the file declares as padding (:class:`Volume`); elsewhere it is guessed.
    """

    def __init__(
        self,
        array: Array,
        normalisation: Normalisation = "zscore",
        clip_percent: tuple[float, float] = CLIP_PERCENT,
        window: tuple[float, float] = CT_WINDOW,
        padding: Sequence[float | None] = (),
    ) -> None:
        self._array = array
        self._declared = tuple(padding) or (None,) * len(array)
        self.padding = _padding(array) if None in self._declared else None
        if normalisation == "ct":
            centre, scale = sum(window) / 2, 2 * _CT_RANGE / (window[1] - window[0])
            self.channels = [ChannelScale(*window, centre, scale)] * len(array)
        else:
            guessed = self.padding or (None,) * len(array)
            known = [own if own is not None else other for own, other in zip(self._declared, guessed, strict=True)]
            self.channels = [
                _standardised(_body_samples(channel, value), clip_percent)
                for channel, value in zip(array, known, strict=True)
            ]

    def __call__(self, start: int = 0, stop: int | None = None) -> Tensor:
        """Return the slices ``start`` to ``stop`` along D, ``(C, n, H, W)`` float32, finite."""
        slab = self._array[:, start:stop]
        outside = _outside(slab, self.padding)
        image = torch.empty(slab.shape, dtype=torch.float32)
        for source, target, channel, declared in zip(slab, image, self.channels, self._declared, strict=True):
            values = target.numpy()
            with np.errstate(over="ignore"):
                values[...] = source
            values[~np.isfinite(values)] = channel.low
            if declared is not None:
                values[source == declared] = channel.low
            elif outside is not None:
                values[outside] = channel.low
            target.clamp_(channel.low, channel.high).sub_(channel.centre).mul_(channel.scale)
        return image


def _body_samples(channel: Array, padding: float | None = None) -> NDArray[np.float32]:
    """Return the samples of a channel that are no padding.

    The least value does not count either where many voxels have it: it is padding, or air that was cut off.

    Args:
        channel: ``(D, H, W)``.
        padding: A value that is padding.
    """
    values = _samples(channel)
    if padding is not None:
        values = values[values != np.float32(padding)]
    if values.size == 0:
        return values
    inside = values[values > values.min()]
    few = values.size - inside.size < max(_FEWEST, _SPIKE * values.size)
    constant = inside.size == 0 or inside.min() == inside.max()  # a mask: both of its values count
    return values if few or constant else inside


def is_hounsfield(array: Array) -> bool:
    """Return whether a scan holds Hounsfield units: air near -1000, nothing just below, soft tissue near 0.

    A CT of 8 bits, one that was stored without its offset, and a crop without air are not recognised.

    Args:
        array: ``(C, D, H, W)``.
    """
    if len(array) != 1 or not np.issubdtype(array.dtype, np.number):
        return False
    values = _samples(array[0])
    if values.size == 0:
        return False
    air, below, tissue = (np.mean((low <= values) & (values <= high)) for low, high in (_AIR, _BELOW_AIR, _TISSUE))
    return bool(air >= 0.01 and tissue >= 0.05 and air >= 3 * below)


def _samples(channel: Array) -> NDArray[np.float32]:
    """Return the finite samples of a channel, of a large scan two million drawn at random."""
    if channel.size <= _SAMPLES:
        values = channel.ravel()
    else:  # the same places in every scan of a size, so that results can be repeated
        random = np.random.default_rng(0)
        values = channel[tuple(random.integers(size, size=_SAMPLES, dtype=np.int32) for size in channel.shape)]
    with np.errstate(over="ignore"):
        floats: NDArray[np.float32] = values.astype(np.float32)
    return floats[np.isfinite(floats)]


def _standardised(values: NDArray[np.float32], clip_percent: tuple[float, float]) -> ChannelScale:
    """Return the z-score of samples; a constant channel becomes zero."""
    if values.size == 0:
        return ChannelScale(0.0, 0.0, 0.0, 0.0)
    low, high = np.percentile(values, clip_percent)
    if high <= low:  # nearly all voxels alike (a very sparse image): keep the full range
        low, high = values.min(), values.max()
    clipped = np.clip(values, low, high, dtype=np.float64)
    centre, deviation = clipped.mean(), clipped.std()
    scale = 1 / deviation if deviation > 1e-6 * max(abs(low), abs(high)) else 0.0  # else rounding
    return ChannelScale(float(low), float(high), float(centre), float(scale))


def _padding(array: Array) -> tuple[float, ...] | None:
    """Return the value of each channel that fills at least half of the corners; ``None``: there is no such value.

    The least value needs no such care: clipping makes it air.  A greatest value may be saturated tissue unless
    the others end far below it.
    """
    _, *shape = array.shape
    axes = [axis for axis, size in enumerate(shape) if size > 2 * _RUN]
    if len(axes) < 2:
        return None
    ends = [(0, size - 1) if axis in axes else (0,) for axis, size in enumerate(shape)]
    corners = [(d, h, w) for d in ends[0] for h in ends[1] for w in ends[2]]
    found = [array[:, d, h, w] for d, h, w in corners if _is_constant(array, (d, h, w), axes)]
    if not found:
        return None
    values, counts = np.unique(np.array(found), axis=0, return_counts=True)
    value = values[counts.argmax()]
    if 2 * counts.max() < len(corners) or not (abs(value.astype(np.float64)) <= np.finfo(np.float32).max).all():
        return None
    plausible = [_is_apart(_body_samples(channel, one), one) for channel, one in zip(array, value, strict=True)]
    return tuple(float(one) for one in value) if all(plausible) else None


def _is_constant(array: Array, corner: tuple[int, int, int], axes: list[int]) -> bool:
    """Return whether the voxels next to a corner have its value, along at least two axes."""
    here = array[:, corner[0], corner[1], corner[2]]
    equal = 0
    for axis in axes:
        inwards = slice(0, _RUN) if corner[axis] == 0 else slice(-_RUN, None)
        place = tuple(inwards if other == axis else at for other, at in enumerate(corner))
        equal += bool((array[:, place[0], place[1], place[2]] == here[:, np.newaxis]).all())
    return equal >= 2


def _is_apart(others: NDArray[np.float32], value: float) -> bool:
    """Return whether a value lies between the other samples, or far above them."""
    if others.size == 0:
        return False
    least, most = float(others.min()), float(others.max())
    return least < value < most or value > most + _LONE * (most - least) > least


def _outside(slab: Array, padding: tuple[float, ...] | None) -> NDArray[np.bool_] | None:
    """Return where a slab ``(C, n, H, W)`` holds padding in all channels, from its borders inwards."""
    if padding is None:
        return None
    equal: NDArray[np.bool_] = (slab == np.array(padding, dtype=slab.dtype).reshape(-1, 1, 1, 1)).all(axis=0)
    found = np.zeros_like(equal)
    for axis in (1, 2):
        found |= np.logical_and.accumulate(equal, axis=axis)
        found |= np.flip(np.logical_and.accumulate(np.flip(equal, axis), axis=axis), axis)
    return found
