"""The output whose heads are generated: a controller turns the scan and the structure into the weights of a small head.

Zhang et al., CVPR 2021 (DoDNet), Sec. 3.  There a head has two channels, an organ and its tumours; here each structure
has one, because the structures of a model are independent of each other.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from IncrementalSegLib.networks.config import SegmenterConfig
from IncrementalSegLib.networks.growing import GrowingOutput
from IncrementalSegLib.networks.output import Features
from IncrementalSegLib.registry import find, register
from IncrementalSegLib.types import StructureId

WIDTH = 8
"""Channels of a head."""

_PARTS = (WIDTH * WIDTH, WIDTH * WIDTH, WIDTH, WIDTH, WIDTH, 1)  # three weights, three biases
NUMBERS = sum(_PARTS)
"""Weights and biases of a head of three 1x1 convolutions."""


class Column(nn.Module):
    """The column of the controller that the one-hot code of a structure selects."""

    def __init__(self, bound: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(NUMBERS).uniform_(-bound, bound))


@register("output", "dynamic")
class Dynamic(GrowingOutput):
    """A controller of the pooled deepest features and a one-hot code of the structure; one sigmoid per structure.

    The controller is linear, so another structure adds a column and leaves the other heads unchanged.
    """

    exclusive = False

    def __init__(self, config: SegmenterConfig) -> None:
        super().__init__()
        self.dimension = find("network", config.network).dimension
        self.deepest = config.widths[-1]
        self.shared = nn.ModuleDict()
        self.codes = nn.ModuleDict()

    def add(self, structure: StructureId, channels: int) -> None:
        """Add a freshly initialised column, and what all structures share before the first."""
        if not self.shared:
            convolution = nn.Conv2d if self.dimension == 2 else nn.Conv3d
            self.shared["reduce"] = convolution(channels, WIDTH, kernel_size=1)
            self.shared["controller"] = nn.Linear(self.deepest, NUMBERS)
        self.codes[structure] = self.new_code()

    def new_code(self) -> nn.Module:
        """Return a freshly initialised column."""
        return Column(self.deepest**-0.5)  # as nn.Linear is initialised

    def remove(self, structure: StructureId) -> None:
        """Remove one column."""
        del self.codes[structure]

    def part(self, structure: StructureId) -> nn.Module:
        """Return the column of one structure."""
        return self.codes[structure]

    def forward(self, features: Features, structures: Sequence[StructureId]) -> Tensor:
        """Return logits ``(B, K, *S)`` of ``structures``."""
        if not structures:
            return features.decoder_dropped[:, :0]
        pooled = self.shared["controller"](features.abstraction.flatten(2).mean(2))
        heads = pooled.unsqueeze(1) + self.selected(structures)
        return apply_heads(self.shared["reduce"](features.decoder_dropped), heads)

    def selected(self, structures: Sequence[StructureId]) -> Tensor:
        """Return the share ``(K, NUMBERS)`` of each structure's code in the numbers of its head."""
        return torch.stack([self.codes[item].get_parameter("weight") for item in structures])

    def probabilities(self, logits: Tensor, structures: Sequence[StructureId]) -> Tensor:
        """Return the probability ``(B, K, *S)`` of logits of the same shape, in float32."""
        return logits.float().sigmoid()


def apply_heads(features: Tensor, heads: Tensor) -> Tensor:
    """Run every head on every item: three 1x1 convolutions with ReLU between them.

    The heads are groups of one product per layer.  On a CPU this takes a fifth of the time of a grouped convolution
    (eight heads, four slices of 128 x 128), which computes the same.

    Args:
        features: ``(B, WIDTH, *S)``.
        heads: ``(B, K, NUMBERS)``: the weights of the three layers, output channel by output channel, then the biases.

    Returns:
        ``(B, K, *S)``.
    """
    items, count = heads.shape[:2]
    first, second, third, *biases = heads.split(_PARTS, dim=-1)
    shape = (items * count, WIDTH, WIDTH)
    joined = first.reshape(items, count * WIDTH, WIDTH)  # all heads of an item see the same features
    hidden = torch.baddbmm(biases[0].reshape(items, -1, 1), joined, features.flatten(2)).relu()
    hidden = hidden.view(items * count, WIDTH, -1)
    hidden = torch.baddbmm(biases[1].reshape(-1, WIDTH, 1), second.reshape(shape), hidden).relu()
    scores = torch.baddbmm(biases[2].reshape(-1, 1, 1), third.reshape(-1, 1, WIDTH), hidden)
    return scores.view(items, count, *features.shape[2:])
