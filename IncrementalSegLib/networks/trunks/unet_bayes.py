"""The U-Net trunk with Bayesian convolutions (CLIS)."""

from __future__ import annotations

import copy
from typing import Self

from torch import Tensor, nn

from IncrementalSegLib.networks.bayesian import make_bayesian
from IncrementalSegLib.networks.config import SegmenterConfig
from IncrementalSegLib.networks.output import Features
from IncrementalSegLib.networks.trunks.unet import UNet
from IncrementalSegLib.registry import register


class BayesianUNet(UNet):
    """U-Net in which every convolution is random, so that nothing can be encoded once for several random passes."""

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

    def encode(self, image: Tensor) -> Tensor:  # type: ignore[override]
        """Return the image: there is no deterministic half."""
        return image

    def decode(self, encoded: Tensor) -> Features:  # type: ignore[override]
        """Run the whole network."""
        return super().decode(super().encode(encoded))


@register("network", "unet2d-bayes")
class BayesianUNet2d(BayesianUNet):
    """Slices in, slices out."""

    dimension = 2


@register("network", "unet3d-bayes")
class BayesianUNet3d(BayesianUNet):
    """Volumes in, volumes out."""

    dimension = 3
