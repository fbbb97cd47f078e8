"""Spacing, patch and stages of a U-Net for the scans of a data set, by the rules of nnU-Net v2.

Isensee et al., Nature Methods 2021; the numbers are those of ``ExperimentPlanner`` in version 2.8.  Spacings are in mm,
sizes in voxels, along the axes that the network sees.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

ANISOTROPIC = 3.0
"""The coarsest axis is anisotropic where its spacing is more than so many times that of the others."""

_FINEST_PERCENT = 10  # of the spacings along an anisotropic axis
_ALIKE = 2.0  # spacings below this ratio are pooled together and convolved together
_SHORTEST = 4  # voxels of the coarsest stage along an axis
_START = {2: 2048, 3: 256}  # side of the first patch, larger than any that fits
_VALUES_PER_GB = {2: 12 * 85e6 / 8, 3: 2 * 560e6 / 8}  # of the features of a batch
_MOST_FILTERS = {2: 512, 3: 320}
_CONVOLUTIONS = 2  # of a stage
_LEAST_SHARE = 0.25  # of the median scan that a patch covers
_COARSER = 1.03
_WORTHWHILE = 2  # times as many voxels before a coarser spacing as after it

Sizes = tuple[int, ...]


@dataclass(frozen=True)
class Stages:
    """Stages of a U-Net, finest first.

    Attributes:
        kernels: Kernel size of the convolutions of each stage.
        strides: Stride at the start of each stage.
    """

    kernels: tuple[Sizes, ...]
    strides: tuple[Sizes, ...]

    @property
    def multiples(self) -> Sizes:
        """Product of the strides along each axis."""
        return tuple(math.prod(steps) for steps in zip(*self.strides, strict=True))

    def widths(self, filters: int) -> Sizes:
        """Return the filters of each stage: twice as many as before, at most 512 in 2-D and 320 in 3-D."""
        most = _MOST_FILTERS[len(self.strides[0])]
        return tuple(min(most, filters * 2**stage) for stage in range(len(self.strides)))

    def padded(self, size: Sequence[float]) -> Sizes:
        """Return the smallest size, at least as large, that the network can take."""
        return tuple(math.ceil(side / step) * step for side, step in zip(size, self.multiples, strict=True))

    def values(self, patch: Sizes, filters: int, outputs: int) -> int:
        """Return the elements of all feature maps for a patch: the measure of memory.

        Args:
            patch: Voxels.
            filters: Filters of the first stage.
            outputs: Scores of a voxel.
        """
        sizes, size = [], patch
        for stride in self.strides:
            size = tuple(side // step for side, step in zip(size, stride, strict=True))
            sizes.append(math.prod(size))
        widths = self.widths(filters)
        maps = [width * voxels for width, voxels in zip(widths, sizes, strict=True)]
        upward = 1  # the transposed convolution before each stage of the decoder
        return _CONVOLUTIONS * sum(maps) + (_CONVOLUTIONS + upward) * sum(maps[:-1]) + outputs * sizes[0]


@dataclass(frozen=True)
class Fit:
    """A grid with a network that fits it.

    Attributes:
        spacing: Spacing in mm.
        shape: Median size of the scans.
        patch: Voxels of a patch.
        stages: The network.
    """

    spacing: tuple[float, ...]
    shape: tuple[float, ...]
    patch: Sizes
    stages: Stages

    @property
    def covered(self) -> float:
        """Share of the median scan that a patch covers."""
        return math.prod(self.patch) / math.prod(self.shape)


@dataclass(frozen=True)
class Budget:
    """Limit on the network.

    Attributes:
        gigabytes: Memory of a training on a GPU, as nnU-Net estimates it.
        filters: Filters of the first stage.
        batch: Patches of a batch.
        outputs: Scores of a voxel.
    """

    gigabytes: float
    filters: int
    batch: int
    outputs: int

    def holds(self, patch: Sizes, stages: Stages) -> bool:
        """Return whether a batch of patches fits."""
        values = self.batch * stages.values(patch, self.filters, self.outputs)
        return values <= self.gigabytes * _VALUES_PER_GB[len(patch)]


def target_spacing(spacings: Sequence[Sequence[float]], shapes: Sequence[Sequence[int]]) -> tuple[float, ...]:
    """Return the spacing of the model: the median, and along an anisotropic axis that of the finest scans.

    Args:
        spacings: Spacing of each scan along three axes.
        shapes: Its size.
    """
    every, target = np.array(spacings), np.median(spacings, axis=0)
    shape = np.median(shapes, axis=0)
    coarse = int(target.argmax())
    others = np.delete(target, coarse)
    if target[coarse] > ANISOTROPIC * others.max() and shape[coarse] * ANISOTROPIC < np.delete(shape, coarse).min():
        finest = np.percentile(every[:, coarse], _FINEST_PERCENT)
        target[coarse] = finest if finest >= others.max() else others.max() + 1e-5
    return tuple(target.tolist())


def fit(spacing: Sequence[float], shape: Sequence[float], budget: Budget) -> Fit:
    """Return the largest patch, in the proportions of the scans, with which a network stays within a budget.

    Args:
        spacing: Of the model.
        shape: Median size of the scans at this spacing.
        budget: Limit on the network.
    """
    side = _START[len(spacing)] * math.prod(spacing) ** (1 / len(spacing))
    start = [min(round(side / step), size) for step, size in zip(spacing, shape, strict=True)]
    stages = stages_for(start, spacing)
    patch = stages.padded(start)
    while not budget.holds(patch, stages):
        axis = max(range(len(patch)), key=lambda axis: (patch[axis] / shape[axis], axis))
        smaller = _shortened(patch, axis, stages.multiples[axis])
        smaller = _shortened(patch, axis, stages_for(smaller, spacing).multiples[axis])  # skips no size that fits
        if min(smaller) < 1:
            break
        stages = stages_for(smaller, spacing)
        patch = stages.padded(smaller)
    return Fit(tuple(spacing), tuple(shape), patch, stages)


def fit_coarser(found: Fit, budget: Budget) -> Fit:
    """Return the fit of a coarser spacing with which a patch covers a quarter of the median scan (``3d_lowres``).

    It is the same fit where a patch covers so much already, or nearly.
    """
    spacing, coarser = np.array(found.spacing), found
    while coarser.covered < _LEAST_SHARE:
        finer = spacing.max() / spacing > _ALIKE
        spacing[finer if finer.any() else slice(None)] *= _COARSER
        shape = np.array(found.spacing) / spacing * found.shape
        coarser = fit(spacing.tolist(), [max(1, round(size)) for size in shape.tolist()], budget)
    return coarser if math.prod(found.shape) >= _WORTHWHILE * math.prod(coarser.shape) else found


def stages_for(patch: Sequence[float], spacing: Sequence[float]) -> Stages:
    """Return the stages for a patch: axes are halved while their spacing is alike and 4 voxels are left.

    A kernel is 3 wide along an axis from the stage on at which its spacing is less than twice the finest, else 1.

    Args:
        patch: Voxels.
        spacing: Millimetres.
    """
    axes = range(len(patch))
    size, step = list(patch), list(spacing)
    wide = [False for _ in axes]
    kernels, strides = [], [tuple(1 for _ in axes)]
    while True:
        long = [axis for axis in axes if size[axis] >= 2 * _SHORTEST]
        finest = min((step[axis] for axis in long), default=0.0)
        halved = [axis for axis in long if step[axis] < _ALIKE * finest]
        if not halved or (len(halved) == 1 and size[halved[0]] < 3 * _SHORTEST):
            break
        wide = [wide[axis] or step[axis] < _ALIKE * min(step) for axis in axes]
        kernels.append(tuple(3 if wide[axis] else 1 for axis in axes))
        strides.append(tuple(2 if axis in halved else 1 for axis in axes))
        for axis in halved:
            size[axis], step[axis] = math.ceil(size[axis] / 2), step[axis] * 2
    return Stages((*kernels, tuple(3 for _ in axes)), tuple(strides))


def _shortened(patch: Sizes, axis: int, count: int) -> Sizes:
    return (*patch[:axis], patch[axis] - count, *patch[axis + 1 :])
