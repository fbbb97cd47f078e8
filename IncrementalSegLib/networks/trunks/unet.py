"""The U-Net trunk of the incremental-head network, in 2-D and 3-D (Ozdemir 2018, Sec. 2 and Fig. 1).

Where the paper is silent the authors' 2019 code decides: two 3x3 convolutions per level, batch
normalisation and ReLU after each, transposed 4x4 convolutions that keep the channel count on the way up,
and channel dropout after the last pooling, after the bottleneck and after every decoder level.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import torch
from monai.networks.blocks import Convolution
from torch import Tensor, nn

from IncrementalSegLib.networks.config import SegmenterConfig
from IncrementalSegLib.networks.dropout import ChannelDropout
from IncrementalSegLib.networks.halved import HalvedTrunk
from IncrementalSegLib.networks.output import Features
from IncrementalSegLib.registry import register


@dataclass(frozen=True)
class Encoded:
    """The deterministic half of a pass: encoder maps, finest first, and the pooled input of the coarsest level."""

    levels: tuple[Tensor, ...]
    pooled: Tensor


class UNet(HalvedTrunk):
    """U-Net that returns its features and has no output of its own.

    Args:
        config: Widths, channels, dropout and momentum.
        second: Filters per level of the half that :meth:`decode` runs, where it is wanted alone, on the maps of the
            first half of another network.

    Attributes:
        config: What it was made with.
        dimension: Spatial axes, 2 or 3.
        random_encoder: Whether two random passes differ before :meth:`decode`.
        adopted: Only models that another program trained have this network.
        Form: Class of what describes the network beside its name and widths; nothing does.
        decoder_channels: Channels of the last decoder map.
    """

    adopted: ClassVar[bool] = False
    Form: ClassVar[None] = None

    def __init__(self, config: SegmenterConfig, second: Sequence[int] | None = None) -> None:
        super().__init__()
        self.config = config
        dimension = self.dimension
        widths, own = config.widths, config.widths if second is None else second
        norm = ("batch", {"momentum": config.norm_momentum})

        def upward(channels: int) -> nn.Module:
            return Convolution(
                dimension, channels, channels, strides=2, kernel_size=4, padding=1, output_padding=0,
                is_transposed=True, act="relu", norm=norm, bias=False, adn_ordering="NA",
            )  # fmt: skip

        self.decoder_channels = own[0]
        self.down = nn.ModuleList(
            self.level(inputs, outputs, config)
            for inputs, outputs in zip((config.channels, *widths), widths[:-1], strict=False)
            if second is None
        )
        self.pool = nn.MaxPool2d(2) if dimension == 2 else nn.MaxPool3d(2)
        self.bottom = self.level(widths[-2], own[-1], config)
        self.up = nn.ModuleList(upward(width) for width in reversed(own[1:]))
        self.merge = nn.ModuleList(
            self.level(coarse + skipped, fine, config)
            for coarse, skipped, fine in zip(own[:0:-1], widths[-2::-1], own[-2::-1], strict=True)
        )
        self.drop = ChannelDropout(config.dropout)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            elif isinstance(module, nn.ConvTranspose2d | nn.ConvTranspose3d):
                nn.init.xavier_uniform_(module.weight)

    def level(self, inputs: int, outputs: int, config: SegmenterConfig) -> nn.Module:
        """Return the two 3x3 convolutions of a level, each followed by normalisation and ReLU."""
        return nn.Sequential(*(convolution(self.dimension, size, outputs, config) for size in (inputs, outputs)))

    def second_half(self, widths: Sequence[int]) -> Self:
        """Return a freshly initialised second half for the maps of this network's first half.

        Args:
            widths: Filters per level, finest first.
        """
        return type(self)(self.config, widths)

    def encode(self, image: Tensor) -> Encoded:
        """Run the half without dropout on ``(B, C, *S)``."""
        levels = []
        for level in self.down:
            image = level(image)
            levels.append(image)
            image = self.pool(image)
        return Encoded(tuple(levels), image)

    def decode(self, encoded: Encoded) -> Features:
        """Run the half with dropout."""
        abstraction = self.bottom(self.drop(encoded.pooled))
        features = abstraction
        for up, merge, level in zip(self.up, self.merge, reversed(encoded.levels), strict=True):
            features = merge(torch.cat([up(self.drop(features)), level], dim=1))
        return Features(encoded.levels, abstraction, features, self.drop(features))

    def forward(self, image: Tensor) -> Features:
        """Return the features of ``(B, C, *S)``; sizes must be multiples of ``2 ** (levels - 1)``."""
        return self.decode(self.encode(image))


def convolution(
    dimension: int, inputs: int, outputs: int, config: SegmenterConfig, size: int = 3, act: str | None = "relu"
) -> nn.Module:
    """Return a convolution without bias, batch normalisation and, unless ``act`` is ``None``, ReLU."""
    norm = ("batch", {"momentum": config.norm_momentum})
    return Convolution(dimension, inputs, outputs, kernel_size=size, act=act, norm=norm, bias=False, adn_ordering="NA")


@register("network", "unet2d")
class UNet2d(UNet):
    """Slices in, slices out."""

    dimension = 2


@register("network", "unet3d")
class UNet3d(UNet):
    """Volumes in, volumes out."""

    dimension = 3
