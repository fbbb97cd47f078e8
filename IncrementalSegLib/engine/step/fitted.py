"""Networks of nnU-Net that are planned for the scans of a model's first step."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

import torch

from IncrementalSegLib.engine.runtime import Runtime
from IncrementalSegLib.engine.step.presets import Preset
from IncrementalSegLib.networks.config import SegmenterConfig, Topology
from IncrementalSegLib.networks.dropout import DROPOUT
from IncrementalSegLib.preprocessing.fitted_plan import ScanExtent, fitted_plan, planned_stages
from IncrementalSegLib.preprocessing.fitting import Budget
from IncrementalSegLib.preprocessing.intensity import Normalisation
from IncrementalSegLib.preprocessing.plan import Plan
from IncrementalSegLib.registry import find
from IncrementalSegLib.volumes.memory import free_memory

log = logging.getLogger(__name__)

_FILTERS = 32
"""Filters of nnU-Net's first stage; smaller presets have fewer."""

_ON_A_CPU = 4.0  # bytes on a CPU for one of nnU-Net's estimate, which is for half precision and a GPU's kernels


def is_fitted(network: str) -> bool:
    """Return whether a network is planned by the rules of nnU-Net."""
    return find("network", network).Form is Topology


def within_memory(preset: Preset, runtime: Runtime) -> Preset:
    """Return a preset whose memory is not more than what is free on the device, of several on the first one."""
    if runtime.device.type == "cuda":
        free: float | None = torch.cuda.mem_get_info(runtime.device)[0]
    else:
        known = free_memory()
        free = None if known is None else known / _ON_A_CPU
    memory = preset.memory if free is None else min(preset.memory, free / 1e9)
    if memory < preset.memory:
        log.warning(
            "The network is planned for the %.2g GB of memory that are free now, not for %.2g GB: its spacing may be "
            "coarser and its patch smaller, for good.",
            memory,
            preset.memory,
        )
    return replace(preset, memory=runtime.group.told(memory))


def plan_fitted(
    network: str,
    preset: Preset,
    scans: Sequence[ScanExtent],
    channels: int,
    structures: int,
    normalisation: Normalisation,
) -> Plan:
    """Return the plan of a new model, and say what it is.

    Args:
        network: Registered name.
        preset: Limits on its size.
        scans: The scans of the first step.
        channels: Their channels.
        structures: How many the step teaches.
        normalisation: How intensities are normalised.

    Raises:
        DataError: The network cannot learn from these scans.
    """
    budget = Budget(preset.memory, _filters(preset), preset.batch, structures + 1)
    dimension = find("network", network).dimension
    plan = fitted_plan(
        scans, channels, dimension, budget, coarsened=preset.coarsened, normalisation=normalisation
    )  # fmt: skip
    log.info(
        "Planned by the rules of nnU-Net: patches of %s voxels at %s mm, %d stages.",
        " x ".join(str(plan.patch[axis]) for axis in plan.axes),
        " x ".join(f"{plan.spacing_mm[axis]:.3g}" for axis in plan.axes),
        len(planned_stages(plan).strides),
    )
    return plan


def fitted_config(network: str, preset: Preset, plan: Plan) -> SegmenterConfig:
    """Return the configuration of the network that a plan was made for."""
    stages = planned_stages(plan)
    count = len(stages.strides)
    topology = Topology(
        kernels=stages.kernels, strides=stages.strides, encoder=(2,) * count, decoder=(2,) * (count - 1), deep=True
    )
    return SegmenterConfig(
        network=network,
        channels=plan.channels,
        widths=stages.widths(_filters(preset)),
        dropout=DROPOUT,
        topology=topology,
    )


def _filters(preset: Preset) -> int:
    return min(_FILTERS, preset.widths[0])
