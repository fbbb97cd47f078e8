"""The pools of a training, with the cases on the device where they fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import torch

from IncrementalSegLib.preprocessing.plan import Plan
from IncrementalSegLib.sampling.batch import PreparedCase
from IncrementalSegLib.sampling.patches import PatchPool
from IncrementalSegLib.types import Source, StructureId

SHARE = 0.4
"""Share of a GPU's free memory that cases may take; the rest is for the network. Our own choice."""

Sources: TypeAlias = Mapping[Source, tuple[Sequence[PreparedCase], Sequence[StructureId]]]
"""Source -> cases, and the structures around which half of the items are drawn."""


def build_pools(
    sources: Sources, structures: Sequence[StructureId], plan: Plan, device: torch.device
) -> dict[Source, PatchPool]:
    """Return a pool of each source that has cases.

    Args:
        sources: What batches may come from.
        structures: All structures of the model.
        plan: The model's plan.
        device: Where batches are made.
    """
    pools = {
        source: PatchPool(cases, structures, targets, plan, source)
        for source, (cases, targets) in sources.items()
        if cases
    }
    if device.type == "cuda":
        room = int(SHARE * torch.cuda.mem_get_info(device)[0])
        for pool in pools.values():
            room = pool.move(device, room)
    return pools
