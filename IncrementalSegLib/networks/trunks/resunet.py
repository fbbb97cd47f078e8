"""The U-Net trunk with residual levels, after that of DoDNet (Zhang et al., CVPR 2021, Sec. 3.2).

Only the shortcuts are DoDNet's, so that results differ from those of :mod:`.unet` in one thing: normalisation, widths
and upsampling are the U-Net's.  DoDNet normalises groups before each convolution, standardises weights and upsamples
trilinearly.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from IncrementalSegLib.networks.config import SegmenterConfig
from IncrementalSegLib.networks.trunks.unet import UNet, convolution
from IncrementalSegLib.registry import register
from IncrementalSegLib.types import Dimension


class Residual(nn.Module):
    """Two 3x3 convolutions beside a shortcut, added before the last ReLU."""

    def __init__(self, dimension: Dimension, inputs: int, outputs: int, config: SegmenterConfig) -> None:
        super().__init__()
        self.first = convolution(dimension, inputs, outputs, config)
        self.second = convolution(dimension, outputs, outputs, config, act=None)
        self.shortcut = (
            nn.Identity() if inputs == outputs else convolution(dimension, inputs, outputs, config, size=1, act=None)
        )

    def forward(self, features: Tensor) -> Tensor:
        """Return ``(B, outputs, *S)`` for ``(B, inputs, *S)``."""
        return F.relu(self.second(self.first(features)) + self.shortcut(features))


@register("network", "resunet3d")
class ResUNet3d(UNet):
    """Volumes in, volumes out, with a shortcut beside the convolutions of each level."""

    dimension = 3

    def level(self, inputs: int, outputs: int, config: SegmenterConfig) -> nn.Module:
        """Return the residual convolutions of a level."""
        return Residual(self.dimension, inputs, outputs, config)
