"""All 13 convolutions of VGG16 trained on ImageNet: the descriptor of CoRiSeg (Ozdemir 2018, Eq. 3)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from IncrementalSegLib.errors import MissingNeedError
from IncrementalSegLib.exemplars.content import Z_RANGE, Descriptor, DescriptorNeeds, as_rgb
from IncrementalSegLib.networks.padding import pad_to_multiple
from IncrementalSegLib.networks.vgg import VGG, Depth
from IncrementalSegLib.registry import register

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)


class VGGDescriptor:
    """Feature maps of a VGG after ReLU.

    Args:
        needs: Weights and device.
        depth: 16 or 19.
        layers: Numbers of the convolutions, from 0.
        mean: Taken off each colour; what the network was trained with, or zeros.

    Raises:
        MissingNeedError: No weights are named.
    """

    planar = True

    def __init__(
        self,
        needs: DescriptorNeeds,
        depth: Depth,
        layers: Sequence[int] | None = None,
        mean: tuple[float, float, float] = IMAGENET_MEAN,
    ) -> None:
        if needs.weights is None:
            raise MissingNeedError(
                f"The descriptor needs the ImageNet weights of VGG{depth}.",
                todo="Name their file, or use the descriptor trunk.",
            )
        self.network = VGG.from_file(needs.weights, depth, layers).to(needs.device)
        self.mean = torch.tensor(mean, device=needs.device).view(3, 1, 1)
        self.deviation = torch.tensor(IMAGENET_DEVIATION, device=needs.device).view(3, 1, 1)
        self.version = (
            f"vgg{depth}, {len(self.network.layers)} convolutions after ReLU, intensities clipped to ±{Z_RANGE:g}, "
            f"mean {mean}, padded to a multiple of 16"
        )

    def __call__(self, image: Tensor) -> list[Tensor]:
        """Return the maps of normalised images ``(B, C, H, W)``."""
        scaled = (as_rgb(image) - self.mean) / self.deviation
        maps: list[Tensor] = self.network(pad_to_multiple(scaled, 16))
        return maps


@register("descriptor", "vgg16")
def vgg16(needs: DescriptorNeeds) -> Descriptor:
    """All 13 convolutions of VGG16."""
    return VGGDescriptor(needs, depth=16)
