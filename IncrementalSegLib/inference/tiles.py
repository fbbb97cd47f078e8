"""The sliding window of nnU-Net: evenly spaced windows, Gaussian weights, mirrored copies (nnU-Net 2.8)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import chain, combinations, product

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from IncrementalSegLib.errors import ModelError
from IncrementalSegLib.inference.budget import MemoryBudget
from IncrementalSegLib.progress import Share

Score = Callable[[Tensor], Tensor]
Size = tuple[int, int, int]

_STEP = 0.5  # of a window, from one to the next, at most
_TIE = 1e-6  # more than softmax and sum round off
_SIGMA = 1 / 8  # of a window
_PEAK = 10  # weight in the middle of a window
_PRECISION = torch.float16  # nnU-Net's for weights, which vanish towards the corners of a window, and for scores


def tile_weights(tile: Size) -> Tensor:
    """Return the weight of each voxel of a window ``(D, H, W)``, float16: a Gaussian, nowhere zero."""
    peak = np.zeros(tile)
    peak[tuple(size // 2 for size in tile)] = 1
    gaussian = ndimage.gaussian_filter(peak, [size * _SIGMA for size in tile], mode="constant")
    weights = torch.from_numpy(gaussian / (gaussian.max() / _PEAK)).to(_PRECISION)
    weights[weights == 0] = weights[weights > 0].min()
    return weights


def rounded(scores: Tensor) -> Tensor:
    """Return resampled scores as precisely as nnU-Net keeps them."""
    return scores.to(_PRECISION).float()


def untied(probability: Tensor) -> Tensor:
    """Return probabilities of structures lowered a little, so that a tie is the background's, as in nnU-Net."""
    return (probability - _TIE).clamp_(min=0)


def tile_starts(size: int, tile: int) -> list[int]:
    """Return where windows of ``tile`` samples begin along an axis of ``size``: evenly spaced, from end to end."""
    count = math.ceil((size - tile) / (tile * _STEP)) + 1
    return [0] if count == 1 else [round((size - tile) / (count - 1) * number) for number in range(count)]


def mirrored(score: Score, axes: Sequence[int]) -> Score:
    """Return the mean of a score over all ways to mirror a batch ``(B, C, *S)`` along some of its spatial axes."""
    ways = list(chain.from_iterable(combinations([axis + 2 for axis in axes], count) for count in range(len(axes) + 1)))

    def mean(batch: Tensor) -> Tensor:
        total = score(batch)
        for way in ways[1:]:
            total = total + score(batch.flip(way)).flip(way)
        return total / len(ways)

    return mean


def tiled(image: Tensor, weights: Tensor, score: Score, budget: MemoryBudget, progress: Share, *, flat: bool) -> Tensor:
    """Score an image in windows and return the weighted mean ``(K, D, H, W)``.

    Args:
        image: ``(C, D, H, W)``, no smaller than a window.
        weights: Of the voxels of a window, ``(D, H, W)``.
        score: Makes of a batch of windows their maps ``(B, K, *S)``.
        budget: Windows in one pass, where they are scored, and where their maps are added.
        progress: Receives the share done.
        flat: Windows are slices: D is 1 and left out of a batch.

    Raises:
        ModelError: Scores are not finite, or too large for float16.
    """
    tile = weights.shape
    sizes = zip(image.shape[1:], tile, strict=True)
    starts = [range(size) if flat and side == 1 else tile_starts(size, side) for size, side in sizes]
    places = [tuple(slice(at, at + side) for at, side in zip(corner, tile, strict=True)) for corner in product(*starts)]
    weights = weights.to(budget.stitch)
    total, sums = torch.empty(0), weights.new_zeros(image.shape[1:])
    for first in range(0, len(places), budget.batch):
        group = places[first : first + budget.batch]
        windows = torch.stack([image[(slice(None), *place)] for place in group]).to(budget.device)
        maps = score(windows.squeeze(2) if flat else windows).to(budget.stitch, torch.float32)
        maps = maps.unsqueeze(2) if flat else maps
        if first == 0:
            total = weights.new_zeros((maps.shape[1], *image.shape[1:]))
        for place, found in zip(group, maps, strict=True):
            total[(slice(None), *place)] += found * weights
            sums[place] += weights
        progress(min(1.0, (first + budget.batch) / len(places)))
    return require_finite(total).div_(sums)


def require_finite(scores: Tensor) -> Tensor:
    """Return scores, of which nothing could be decided if they were not finite.

    Raises:
        ModelError: They are not.
    """
    if not bool(scores.isfinite().all()):
        raise ModelError(
            "The scores of the network are too large to be added, or not finite.",
            "Scan or network are not what the adopted network expects.",
            "Check the scan; another version of the model may be able to segment it.",
        )
    return scores
