"""Decoder: the encoder of the first step serves all, and each later step adds a small decoder."""

from __future__ import annotations

from IncrementalSegLib.methods.base.branching_heads import BranchingHeads
from IncrementalSegLib.methods.base.incremental_heads import HeadOptions
from IncrementalSegLib.networks.branches.decoder import Width
from IncrementalSegLib.networks.config import BranchConfig
from IncrementalSegLib.registry import register


class DecoderOptions(HeadOptions):
    """Options of decoder."""

    width: Width = 0.5
    """Filters of each level of a decoder relative to the trunk's; our own choice. With 0.5 a decoder has about a
    quarter of the weights of the trunk."""


@register("method", "decoder")
class Decoder(BranchingHeads[DecoderOptions]):
    """A small decoder per step on the frozen encoder of the first; older structures stay as they are, guaranteed."""

    source = "after Ji et al., ICCV 2023 (Continual Segment) and Guo et al. 2025 (CL-Net), without pruning"

    def branch(self) -> BranchConfig:
        """Return a decoder."""
        return BranchConfig(kind="decoder", trunk=0, options={"width": self.options.width})
