"""The output of the head family: one two-way softmax per structure; structures may overlap."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from monai.networks.blocks import Convolution
from torch import Tensor, nn
from torch.nn import functional as F

from IncrementalSegLib.networks.config import SegmenterConfig
from IncrementalSegLib.networks.dropout import ChannelDropout
from IncrementalSegLib.networks.growing import GrowingOutput
from IncrementalSegLib.networks.output import Features
from IncrementalSegLib.registry import find, register
from IncrementalSegLib.types import StructureId


class Head(nn.Module):
    """Score background and foreground of one structure (Ozdemir 2018, Fig. 1).

    The recipe of the 2019 code has two 3x3 blocks with dropout before the 1x1 convolution and batch
    normalisation on the logits; the default is the 1x1 convolution alone.
    """

    def __init__(self, channels: int, dimension: int, config: SegmenterConfig) -> None:
        super().__init__()
        norm = ("batch", {"momentum": config.norm_momentum})
        blocks: list[nn.Module] = []
        for _ in range(config.head_depth):
            blocks.append(
                Convolution(dimension, channels, channels, act="relu", norm=norm, bias=False, adn_ordering="NA")
            )
            blocks.append(ChannelDropout(config.dropout))
        self.blocks = nn.Sequential(*blocks)
        convolution = nn.Conv2d if dimension == 2 else nn.Conv3d
        self.score = convolution(channels, 2, kernel_size=1, bias=not config.head_norm)
        normalisation = nn.BatchNorm2d if dimension == 2 else nn.BatchNorm3d
        self.norm = normalisation(2, momentum=config.norm_momentum) if config.head_norm else nn.Identity()

    def forward(self, features: Tensor) -> Tensor:
        """Return logits ``(B, 2, *S)`` for features ``(B, F, *S)``."""
        scores: Tensor = self.norm(self.score(self.blocks(features)))
        return scores

    @property
    def linear(self) -> bool:
        """Whether the head is a single 1x1 convolution, so that several can run as one."""
        return len(self.blocks) == 0 and isinstance(self.norm, nn.Identity)


@register("output", "heads")
class Heads(GrowingOutput):
    """One :class:`Head` per structure."""

    exclusive = False

    def __init__(self, config: SegmenterConfig) -> None:
        super().__init__()
        self.config = config
        self.dimension = find("network", config.network).dimension
        self.heads = nn.ModuleDict()

    def add(self, structure: StructureId, channels: int) -> None:
        """Add a freshly initialised head on ``channels`` decoder features."""
        self.heads[structure] = Head(channels, self.dimension, self.config)

    def remove(self, structure: StructureId) -> None:
        """Remove one head."""
        del self.heads[structure]

    def part(self, structure: StructureId) -> nn.Module:
        """Return the module that belongs to one structure alone."""
        return self.heads[structure]

    def forward(self, features: Features, structures: Sequence[StructureId]) -> Tensor:
        """Return logits ``(B, K, 2, *S)`` of ``structures``."""
        last = features.decoder_dropped
        heads = [cast(Head, self.heads[item]) for item in structures]
        if not heads:
            return last.new_zeros((last.shape[0], 0, 2, *last.shape[2:]))
        if len(heads) > 1 and all(head.linear for head in heads):  # one convolution for all: cost of one head
            weight = torch.cat([head.score.weight for head in heads])
            bias = torch.cat([head.score.bias for head in heads if head.score.bias is not None])
            convolve = F.conv2d if self.dimension == 2 else F.conv3d
            joined: Tensor = convolve(last, weight, bias).unflatten(1, (len(heads), 2))
            return joined
        apart: Tensor = torch.stack([head.forward(last) for head in heads], dim=1)
        return apart

    def two_way(self, logits: Tensor, structures: Sequence[StructureId]) -> Tensor:
        """Return logits ``(B, K, 2, *S)``, not this structure and this structure, of each of ``structures``."""
        return logits

    def probabilities(self, logits: Tensor, structures: Sequence[StructureId]) -> Tensor:
        """Return the foreground probability ``(B, K, *S)`` of logits ``(B, K, 2, *S)``, in float32."""
        logits = logits.float()
        return torch.sigmoid(logits[:, :, 1] - logits[:, :, 0])  # softmax over two values
