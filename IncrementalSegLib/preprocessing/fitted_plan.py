"""The plan of a new model with a network of nnU-Net: its grid and patch, with the rules by which nnU-Net sees scans."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from IncrementalSegLib.errors import DataError, Hint, OptionRef
from IncrementalSegLib.preprocessing.fitting import Budget, Stages, fit, fit_coarser, stages_for, target_spacing
from IncrementalSegLib.preprocessing.geometry import orient
from IncrementalSegLib.preprocessing.intensity import CT_WINDOW, Normalisation
from IncrementalSegLib.preprocessing.plan import STORED, Plan, is_planar
from IncrementalSegLib.preprocessing.rules import Intensity, Resampling, Rules
from IncrementalSegLib.types import Dimension
from IncrementalSegLib.volumes.volume import Grid

ORIENTATION = "SAR"
"""Orientation of volumes, that of ``NibabelIOWithReorient``, so that a scan may be stored along any axes."""

_UNIT = 200.0  # Hounsfield units that become 1, as in the plans of other networks
_MASKED = 0.75  # of a scan: where less is left of it without its zeros, they are in no statistic


@dataclass(frozen=True)
class ScanExtent:
    """Size of a scan.

    Attributes:
        grid: Its grid.
        content: The part along D, H, W that is not zero.
    """

    grid: Grid
    content: tuple[slice, slice, slice]

    @property
    def size(self) -> tuple[int, int, int]:
        """Voxels of the content along D, H, W."""
        depth, height, width = (part.stop - part.start for part in self.content)
        return depth, height, width


def fitted_plan(
    scans: Sequence[ScanExtent],
    channels: int,
    dimension: Dimension,
    budget: Budget,
    *,
    coarsened: bool,
    normalisation: Normalisation = "zscore",
) -> Plan:
    """Choose the plan of a new model by the rules of nnU-Net.

    CT keeps our window of Hounsfield units in place of the percentiles of the first structures, which would hide what
    later steps teach.  Everything else is nnU-Net's, so that it can run the model.

    Args:
        scans: The scans of the first step.
        channels: Their channels.
        dimension: Spatial axes of the network.
        budget: Limit on the network.
        coarsened: Take the spacing of ``3d_lowres`` where a patch covers too little; in 2-D likewise, which is ours.
        normalisation: How intensities are normalised.

    Raises:
        DataError: 2-D images for a 3-D network or mixed with volumes, no patch that the budget holds, or scans too
            small for two stages.
    """
    planar = is_planar([scan.grid for scan in scans], dimension)
    stored = STORED if planar else ORIENTATION
    orders = [(0, 1, 2) if planar else orient(scan.grid, stored)[0] for scan in scans]
    spacings = [[scan.grid.steps[axis] for axis in order] for scan, order in zip(scans, orders, strict=True)]
    sizes = [[scan.size[axis] for axis in order] for scan, order in zip(scans, orders, strict=True)]
    target = target_spacing(spacings, sizes)
    first = 0 if planar else int(np.argmax(target))
    axes = [first, *(axis for axis in range(3) if axis != first)]
    seen = axes[3 - dimension :]
    resampled = [
        [max(1, round(own / wanted * size)) for own, wanted, size in zip(*one, strict=True)]
        for one in zip(spacings, [target] * len(scans), sizes, strict=True)
    ]
    shape = np.median(resampled, axis=0)
    found = fit([target[axis] for axis in seen], shape[seen].tolist(), budget)
    if not budget.holds(found.patch, found.stages):
        raise DataError(
            f"{budget.gigabytes:.2g} GB of memory are too little for this network, even for the smallest patch "
            f"({' x '.join(map(str, found.patch))} voxels).",
            f"A batch has {budget.batch} patches, and the network {budget.filters} filters at first.",
            Hint("Free memory, choose another ", OptionRef("network"), " or a smaller ", OptionRef("batch"), "."),
        )
    if coarsened:
        found = fit_coarser(found, budget)
    if len(found.stages.strides) < 2:
        raise DataError(
            f"The scans are too small for this network: {' x '.join(f'{size:g}' for size in found.shape)} voxels.",
            "Its coarsest level has at least 4 voxels along an axis, and it has two levels at least.",
            Hint("Use ", OptionRef("network", f"unet{dimension}d"), "."),
        )
    flat = dimension == 2
    depth = shape[first] if flat else found.shape[0]
    patch = (1, *found.patch) if flat else found.patch
    spacing = (None, *found.spacing) if flat else found.spacing
    masked = float(np.median([math.prod(scan.size) / math.prod(scan.grid.shape) for scan in scans])) < _MASKED
    return Plan(
        dimension=dimension,
        planar=planar,
        channels=channels,
        orientation="".join(stored[axis] for axis in axes),
        spacing=(spacing[0], spacing[1], spacing[2]),
        normalisation=normalisation,
        patch=(patch[0], patch[1], patch[2]),
        multiple=math.lcm(*found.stages.multiples),
        shape=(max(1, round(depth)), max(1, round(found.shape[-2])), max(1, round(found.shape[-1]))),
        rules=Rules(
            intensities=(_intensity(normalisation, masked),) * channels,
            scans=Resampling(order=3),
            scores=Resampling(order=1),
        ),
    )


def planned_stages(plan: Plan) -> Stages:
    """Return the stages of the network that a plan was made for."""
    return stages_for([plan.patch[axis] for axis in plan.axes], [plan.spacing[axis] or 1.0 for axis in plan.axes])


def _intensity(normalisation: Normalisation, masked: bool) -> Intensity:
    if normalisation == "ct":
        low, high = CT_WINDOW
        return Intensity(scheme="ct", mean=(low + high) / 2, deviation=_UNIT, low=low, high=high)
    return Intensity(scheme="zscore", masked=masked)
