"""Adapter: the trunk of the first step serves all, and each later step adds low-rank adapters of its convolutions."""

from __future__ import annotations

from IncrementalSegLib.methods.base.branching_heads import BranchingHeads
from IncrementalSegLib.methods.base.incremental_heads import HeadOptions
from IncrementalSegLib.networks.branches.adapter import Rank
from IncrementalSegLib.networks.config import BranchConfig
from IncrementalSegLib.registry import register


class AdapterOptions(HeadOptions):
    """Options of adapter."""

    rank: Rank = 8
    """Rank of the change of each convolution; our own choice."""


@register("method", "adapter")
class Adapter(BranchingHeads[AdapterOptions]):
    """Low-rank adapters per step on the frozen trunk of the first; older structures stay as they are, guaranteed."""

    source = "after Chen et al. 2024 (Low-Rank Mixture of Experts) and Gao, ICML 2026 (MedCRP-CL), on convolutions"

    def branch(self) -> BranchConfig:
        """Return adapters."""
        return BranchConfig(kind="adapter", trunk=0, options={"rank": self.options.rank})
