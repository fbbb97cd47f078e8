"""The plan of a model, fixed at its first step: orientation, spacing, patch, normalisation."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict

from IncrementalSegLib.errors import DataError, Hint, OptionRef
from IncrementalSegLib.preprocessing.bundle import BundleRules
from IncrementalSegLib.preprocessing.geometry import VIEWS, orient
from IncrementalSegLib.preprocessing.intensity import CLIP_PERCENT, CT_WINDOW, Normalisation
from IncrementalSegLib.preprocessing.rules import AdoptedRules, Rules
from IncrementalSegLib.types import Dimension
from IncrementalSegLib.volumes.memory import require_memory
from IncrementalSegLib.volumes.volume import Grid, Volume

FAR_SPACING = 3.0
"""A scan is refused that is by more than this factor coarser than the model's grid, or finer than its first scans."""

STORED = "DHW"
"""Orientation of a plan that leaves scans as their files store them."""

_OWN = AdoptedRules()  # sizes of models that were not adopted
_ANISOTROPIC = 1.2  # above this ratio of spacings the coarse axis is the acquisition axis


class Plan(BaseModel):
    """Preprocessing of a model; never changes after its first step.

    Sizes and spacings are in the order D, H, W of the turned volume.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    dimension: Dimension
    """Spatial axes that the network sees."""
    planar: bool
    """Scans are 2-D images without orientation."""
    channels: int
    """Channels of a scan."""
    orientation: str
    """Directions in which D, H, W grow, for example ``SPL``; or the axes of the file as stored, for example ``HDW``."""
    spacing: tuple[float | None, float | None, float | None]
    """Millimetres; ``None``: the scan's own spacing is kept (slices of a 2-D network, or by a bundle's rules)."""
    coarsening: float = 1.0
    """By how much the spacing exceeds that of the first step's scans, which were too large for the network."""
    normalisation: Normalisation = "zscore"
    """Normalisation of intensities: ``zscore`` per scan and channel, or ``ct``, one window of Hounsfield units."""
    clip_percent: tuple[float, float] = CLIP_PERCENT
    """Percentiles to which intensities are clipped before the z-score."""
    window: tuple[float, float] = CT_WINDOW
    """Hounsfield units to which intensities are clipped by ``ct``."""
    patch: tuple[int, int, int]
    """Voxels of a training patch; D is 1 for a 2-D network."""
    multiple: int
    """Spatial sizes that the network sees are multiples of this."""
    shape: tuple[int, int, int]
    """Median size of the first step's scans on this grid, for estimates."""
    rules: Rules | BundleRules | None = None
    """Rules of an adopted model (nnU-Net's, or a bundle's), in place of normalisation and resampling as above."""

    @property
    def axes(self) -> tuple[int, ...]:
        """The axes among D, H, W that the network sees."""
        return (1, 2) if self.dimension == 2 else (0, 1, 2)

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Millimetres along D, H, W for a picture; 1 along an axis that the plan leaves open."""
        return self.spacing[0] or 1.0, self.spacing[1] or 1.0, self.spacing[2] or 1.0

    def target_spacing(self, spacing: Sequence[float]) -> list[float]:
        """Return the spacing D, H, W to which a scan of a spacing in mm is resampled."""
        rules = self.rules or _OWN
        return [rules.spacing(own, wanted) for own, wanted in zip(spacing, self.spacing, strict=True)]

    def turning(self, grid: Grid) -> tuple[tuple[int, int, int], tuple[int, ...]]:
        """Return how an array on ``grid`` is turned to the model's orientation; see :func:`~.geometry.orient`."""
        if set(self.orientation) == set(STORED):
            depth, height, width = map(STORED.index, self.orientation)
            return (depth, height, width), ()
        if self.planar:
            return (0, 1, 2), ()
        return orient(grid, self.orientation)

    def check(self, volume: Volume, name: str) -> None:
        """Refuse a scan that cannot be brought to the model's grid.

        Raises:
            DataError: Other number of channels, 2-D against 3-D, a spacing far from the model's, or on the model's grid
                larger than the free memory.
        """
        if volume.channels != self.channels:
            raise DataError(
                f"{name} has {volume.channels} channels, the model expects {self.channels}.",
                todo="Give the same channels in the same order as in the first step.",
            )
        if volume.grid.planar != self.planar:
            one, many = ("a volume", "a 2-D image"), ("volumes", "2-D images")
            raise DataError(
                f"{name} is {one[volume.grid.planar]}, the model was taught on {many[self.planar]}.",
                todo="Use another model for it.",
            )
        order, _ = self.turning(volume.grid)
        spacing = [volume.grid.steps[axis] for axis in order]
        target = self.target_spacing(spacing)
        if not self.planar and self.rules is None:  # nnU-Net and MONAI resample from any spacing
            for axis, (own, wanted) in enumerate(zip(spacing, target, strict=True)):
                if not 1 / (FAR_SPACING * self.coarsening) <= own / wanted <= FAR_SPACING:
                    raise DataError(
                        f"{name} has a spacing of {own:.3g} mm along {'DHW'[axis]}, the model works at {wanted:.3g} "
                        "mm.",
                        f"More than {FAR_SPACING:g} times finer or coarser gives unreliable results.",
                        "Check the header of the scan, or teach another model for such scans.",
                    )
        cropped = self.rules is not None and self.rules.cropped
        seen = tuple(part.stop - part.start for part in volume.content) if cropped else volume.grid.shape
        size = self.resampled_size([seen[axis] for axis in order], spacing)
        require_memory(
            f"{name}, on the grid of the model,",
            volume.channels * math.prod(map(max, size, self.patch)),
            0,
            f"Its spacing is {_times(spacing)} mm; the model works at {_times(target)} mm, with patches of "
            f"{_times(self.patch)} voxels.",
            "Check the spacing in its header, close other programs, or crop the scan.",
        )

    def resampled_size(self, size: Sequence[int], spacing: Sequence[float]) -> tuple[int, int, int]:
        """Return the size on the model's grid.

        Args:
            size: D, H, W of a turned scan, or of a part of it.
            spacing: Its own, in mm.
        """
        rules = self.rules or _OWN
        axes = zip(size, spacing, self.target_spacing(spacing), strict=True)
        depth, height, width = (rules.size(count, own, target) for count, own, target in axes)
        return depth, height, width


def plan_for(
    grids: Sequence[Grid],
    channels: int,
    dimension: Dimension,
    multiple: int,
    side: int,
    patch_side: int,
    normalisation: Normalisation = "zscore",
) -> Plan:
    """Choose the plan of a new model from the scans of its first step.

    The spacing is the median of the scans, coarsened evenly where the median scan would exceed
    ``side`` voxels along its longest side that the network sees.

    Args:
        grids: Grids of the scans.
        channels: Channels of the scans.
        dimension: Spatial axes of the network.
        multiple: ``2 ** (levels - 1)`` of the network.
        side: Longest side of a resampled scan in voxels.
        patch_side: Longest side of a patch in voxels; a patch covers the median scan where it fits.
        normalisation: How intensities are normalised.

    Raises:
        DataError: 2-D images for a 3-D network, or 2-D images mixed with volumes.
    """
    planar = is_planar(grids, dimension)
    code = "SPL" if planar or dimension == 3 else VIEWS[_slice_axis(grids)]
    shapes, spacings = [], []
    for grid in grids:
        order = (0, 1, 2) if planar else orient(grid, code)[0]
        shapes.append([grid.shape[axis] for axis in order])
        spacings.append([grid.spacing[2 - axis] for axis in order])
    shape, spacing = np.median(shapes, axis=0), np.median(spacings, axis=0)
    seen = slice(1, 3) if dimension == 2 else slice(0, 3)
    extent = shape[seen] * spacing[seen]
    coarsest = max(1.0, float((extent / spacing[seen]).max()) / side)
    target = spacing.copy()
    target[seen] *= coarsest
    grid_shape = [max(1, round(size * own / wanted)) for size, own, wanted in zip(shape, spacing, target, strict=True)]
    patch = [_round_up(min(size, patch_side), multiple) for size in grid_shape]
    if dimension == 2:
        patch[0] = 1
    return Plan(
        dimension=dimension,
        planar=planar,
        channels=channels,
        orientation=code,
        spacing=(None if dimension == 2 else float(target[0]), float(target[1]), float(target[2])),
        coarsening=coarsest,
        normalisation=normalisation,
        patch=(patch[0], patch[1], patch[2]),
        multiple=multiple,
        shape=(grid_shape[0], grid_shape[1], grid_shape[2]),
    )


def is_planar(grids: Sequence[Grid], dimension: Dimension) -> bool:
    """Return whether scans are 2-D images.

    Args:
        grids: Grids of the scans.
        dimension: Spatial axes of the network.

    Raises:
        DataError: 2-D images for a 3-D network, or 2-D images mixed with volumes.
    """
    planar = grids[0].planar
    if any(grid.planar != planar for grid in grids):
        raise DataError("The data mixes 2-D images and volumes.", todo="Teach a model from one kind.")
    if planar and dimension == 3:
        raise DataError(
            "A 3-D network cannot learn from 2-D images.", todo=Hint("Use ", OptionRef("network", "unet2d"), ".")
        )
    return planar


def _slice_axis(grids: Sequence[Grid]) -> int:
    """Return the anatomical axis along which most scans were acquired as slices."""
    votes: Counter[int] = Counter()
    for grid in grids:
        order, _ = orient(grid, "LPS")
        spacing = [grid.spacing[2 - axis] for axis in order]
        shape = [grid.shape[axis] for axis in order]
        thick = max(range(3), key=lambda axis: spacing[axis])
        few = min(range(3), key=lambda axis: shape[axis])
        votes[thick if spacing[thick] > _ANISOTROPIC * sorted(spacing)[1] else few] += 1
    return votes.most_common(1)[0][0]


def _times(numbers: Sequence[float]) -> str:
    return " x ".join(f"{number:.4g}" for number in numbers)


def _round_up(size: int, multiple: int) -> int:
    return math.ceil(size / multiple) * multiple
