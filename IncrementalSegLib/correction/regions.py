"""Regions of an image that look alike inside, and how alike neighbours are: superpixels and supervoxels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from IncrementalSegLib.errors import MissingNeedError

Numbers = NDArray[np.float64]

REGIONS = 10_000
"""Largest number of regions, so that the propagation stays immediate; our own choice."""

SIMILARITY = 10.0
"""Decay k of exp(-k |r - r'|^2) (Eq. 13): that of the authors' code, whose colours also have the range 0..1."""

_VOXELS = 15  # of a region where there are fewer than REGIONS; with 30 strokes harm a good outline
_COMPACTNESS = 0.1  # the authors' 10, at intensities of 0..1 in place of 0..100
_ITERATIONS = 8  # as the authors
_LARGEST = 2_000_000  # voxels; of a larger image every n-th along each axis is enough


@dataclass(frozen=True)
class Regions:
    """Regions and the graph of their neighbours.

    Attributes:
        labels: ``(D, H, W)`` int32, 0 .. R-1.
        edges: ``(E, 2)``, each pair of neighbours once.
        weights: ``(E,)``, similarity of the pair, 0..1.
    """

    labels: NDArray[np.int32]
    edges: NDArray[np.int64]
    weights: Numbers

    def __len__(self) -> int:
        return int(self.labels.max()) + 1

    def means(self, values: NDArray[np.floating]) -> Numbers:
        """Return the mean of maps ``(C, D, H, W)`` in each region, ``(R, C)``."""
        return _means(self.labels, values)


def require_slic() -> None:
    """Fail early where regions cannot be made.

    Raises:
        MissingNeedError: scikit-image is not installed.
    """
    if find_spec("skimage") is None:
        raise MissingNeedError(
            "Strokes cannot be propagated: scikit-image is not installed.",
            todo='pip install "incrementalseg[correct]"',
        )


def find_regions(image: NDArray[np.floating], spacing: tuple[float, float, float], count: int = REGIONS) -> Regions:
    """Divide an image into regions by SLIC (Achanta et al., TPAMI 2012), with distances in mm.

    Neighbours are compared by intensity and by the magnitude of its gradient, where the paper has LAB colours.

    Args:
        image: ``(C, D, H, W)``.
        spacing: Millimetres along D, H, W.
        count: Largest number of regions, approximately.

    Raises:
        MissingNeedError: scikit-image is not installed.
    """
    scaled = np.stack([_scaled(channel) for channel in image])
    stride = max(1, math.ceil((scaled[0].size / _LARGEST) ** (1 / 3)))
    thin = scaled[:, ::stride, ::stride, ::stride]
    coarse = (spacing[0] * stride, spacing[1] * stride, spacing[2] * stride)
    labels = _slic(thin, coarse, max(1, min(count, thin[0].size // _VOXELS)))
    for axis in range(3 if stride > 1 else 0):
        labels = np.repeat(labels, stride, axis=axis).take(range(scaled.shape[axis + 1]), axis=axis)
    steepness = np.stack([_scaled(_gradient(channel, spacing)) for channel in scaled])
    looks = _means(labels, np.concatenate([scaled, steepness]))
    edges = neighbours(labels)
    apart = looks[edges[:, 0]] - looks[edges[:, 1]]
    return Regions(labels, edges, np.exp(-SIMILARITY * (apart**2).sum(axis=1)))


def neighbours(labels: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return the pairs of regions that share a face, ``(E, 2)``, each once and the smaller number first.

    Args:
        labels: ``(D, H, W)``, 0 .. R-1.
    """
    count = int(labels.max()) + 1
    keys = []
    for axis in range(labels.ndim):
        one = np.moveaxis(labels, axis, 0)[:-1].astype(np.int64)
        two = np.moveaxis(labels, axis, 0)[1:].astype(np.int64)
        apart = one != two
        keys.append(np.unique(np.minimum(one, two)[apart] * count + np.maximum(one, two)[apart]))
    pairs = np.unique(np.concatenate(keys))
    return np.stack([pairs // count, pairs % count], axis=1)


def _slic(image: NDArray[np.floating], spacing: tuple[float, float, float], count: int) -> NDArray[np.int32]:
    require_slic()
    from skimage.segmentation import slic

    labels = slic(
        image,
        n_segments=count,
        compactness=_COMPACTNESS,
        max_num_iter=_ITERATIONS,
        spacing=spacing,
        start_label=0,
        channel_axis=0,
        convert2lab=False,
    )
    _, numbers = np.unique(labels, return_inverse=True)
    return numbers.reshape(labels.shape).astype(np.int32)


def _means(labels: NDArray[np.integer], values: NDArray[np.floating]) -> Numbers:
    flat = labels.ravel()
    sizes = np.bincount(flat)
    return np.stack([np.bincount(flat, channel.ravel()) / sizes for channel in values], axis=1)


def _scaled(values: NDArray[np.floating]) -> NDArray[np.float32]:
    """Bring values to 0..1, from the 1st to the 99th percentile."""
    low, high = np.percentile(values, (1, 99))
    return np.asarray(np.clip((values - low) / (high - low if high > low else 1.0), 0, 1), dtype=np.float32)


def _gradient(values: NDArray[np.float32], spacing: tuple[float, float, float]) -> NDArray[np.float32]:
    slopes = [np.gradient(values, step, axis=axis) for axis, step in enumerate(spacing) if values.shape[axis] > 1]
    return np.asarray(np.linalg.norm([np.zeros_like(values), *slopes], axis=0), dtype=np.float32)
