"""Low-rank adapters of the convolutions in the second half of a trunk.

A low-rank matrix is added to the weights of each convolution, as in LoRA (Hu et al., ICLR 2022) and, for one
segmentation task after another, in Low-Rank Mixture of Experts (Chen et al., arXiv 2406.13583).  The papers adapt
transformers.  Our own choice: the first half has no adapters, so that it runs once for all, and each branch has
normalisation of its own.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from torch import nn

from IncrementalSegLib.networks.branching import Branch, BranchOptions
from IncrementalSegLib.networks.halved import HalvedTrunk, SecondHalf
from IncrementalSegLib.networks.low_rank import LowRankConvolution
from IncrementalSegLib.registry import register

_CONVOLUTIONS = (nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.ConvTranspose3d)


Rank = Annotated[int, Field(ge=1, le=1024)]
"""Rank of the change of each convolution."""


@register("branch", "adapter")
class Adapter(Branch):
    """The second half of the trunk with adapted convolutions; at first it gives what the trunk gives."""

    class Options(BranchOptions):
        """Options of adapters."""

        rank: Rank

    def second_half(self, trunk: HalvedTrunk, options: Options) -> SecondHalf:
        """Return the layers of the trunk, with adapters and with copies of everything but convolutions."""
        half = trunk.second_half(trunk.config.widths)
        half.load_state_dict({name: trunk.state_dict()[name] for name in half.state_dict()})
        for name, layer in list(half.named_modules()):
            if isinstance(layer, _CONVOLUTIONS):
                half.set_submodule(name, LowRankConvolution(trunk.get_submodule(name), options.rank))
        return half
