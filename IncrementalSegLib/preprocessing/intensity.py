"""Intensity normalisation, per scan and channel."""

from __future__ import annotations

import torch
from torch import Tensor

CLIP_PERCENT = (0.5, 99.5)
"""Percentiles to which intensities are clipped before the z-score."""

_SAMPLES = 2_000_000  # torch.quantile refuses more than 16 million values; every n-th voxel is enough


def zscore(image: Tensor, valid: Tensor | None = None, clip_percent: tuple[float, float] = CLIP_PERCENT) -> Tensor:
    """Clip each channel to its percentiles and give it mean 0 and standard deviation 1.

    Ozdemir 2018 is silent; scans without a common unit (MR) ask for statistics per scan.

    Args:
        image: ``(C, D, H, W)`` float32, finite.
        valid: ``(D, H, W)`` bool, voxels that count; all by default.
        clip_percent: Percentiles to clip to, 0..100.

    Returns:
        ``(C, D, H, W)`` float32; a constant channel becomes zero.
    """
    channels = []
    for channel in image:
        values = channel[valid] if valid is not None else channel.flatten()
        values = values[:: max(1, values.numel() // _SAMPLES)]
        if values.numel() == 0:
            channels.append(torch.zeros_like(channel))
            continue
        low, high = torch.quantile(values, torch.tensor(clip_percent, dtype=values.dtype) / 100)
        if high <= low:  # nearly all voxels alike (a mask-like or very sparse image): keep the full range
            low, high = values.min(), values.max()
        values = values.clamp(low, high)
        deviation = values.std(correction=0)
        scale = 1 / deviation if deviation > 1e-6 * max(low.abs(), high.abs()) else torch.zeros(())  # else rounding
        channels.append((channel.clamp(low, high) - values.mean()) * scale)
    return torch.stack(channels)
