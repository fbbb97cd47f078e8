"""The U-Net trunk with Bayesian convolutions (CLIS)."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Self, cast

import torch
from torch import Tensor, nn

from IncrementalSegLib.networks.bayesian import make_bayesian
from IncrementalSegLib.networks.config import SegmenterConfig
from IncrementalSegLib.networks.output import Features
from IncrementalSegLib.networks.trunks.unet import UNet
from IncrementalSegLib.registry import register


class BayesianUNet(UNet):
    """U-Net in which every convolution is random."""

    random_encoder = True

    def __init__(self, config: SegmenterConfig) -> None:
        super().__init__(config)
        make_bayesian(self, config.mask_prior)

    @classmethod
    def of(cls, plain: nn.Module, config: SegmenterConfig) -> Self:
        """Return a trunk with the weights of a plain one; its mean network gives what that gave."""
        trunk = cls(config)
        for name, part in copy.deepcopy(plain).named_children():
            setattr(trunk, name, part)
        make_bayesian(trunk, config.mask_prior)
        return trunk

    def encode(self, image: Tensor) -> Features:  # type: ignore[override]
        """Run everything but the last convolution on ``(B, C, *S)``: nearly all of the time and of the randomness."""
        encoded = super().encode(image)
        abstraction = self.bottom(self.drop(encoded.pooled))
        features = abstraction
        for up, merge, level in zip(self.up, self.merge, reversed(encoded.levels), strict=True):
            convolutions = list(cast(nn.Sequential, merge))
            features = torch.cat([up(self.drop(features)), level], dim=1)
            for convolution in convolutions[:-1] if merge is self.merge[-1] else convolutions:
                features = convolution(features)
        return Features(encoded.levels, abstraction, features, features)

    def decode(self, encoded: Features) -> Features:  # type: ignore[override]
        """Run the last convolution."""
        decoder = cast(nn.Sequential, self.merge[-1])[-1](encoded.decoder)
        return replace(encoded, decoder=decoder, decoder_dropped=self.drop(decoder))


@register("network", "unet2d-bayes")
class BayesianUNet2d(BayesianUNet):
    """Slices in, slices out."""

    dimension = 2


@register("network", "unet3d-bayes")
class BayesianUNet3d(BayesianUNet):
    """Volumes in, volumes out."""

    dimension = 3
