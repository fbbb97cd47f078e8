"""The UNet of MONAI: strided convolutions or residual units on the way down, transposed ones on the way up.

Its last layer is no 1x1 convolution: where it has residual units, the scores themselves are convolved once more.  So
its scores are its last map, and a new structure is scored on those of all others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Self

import torch
from monai.networks.layers.simplelayers import SkipConnection
from monai.networks.nets.unet import UNet
from pydantic import Field, model_validator
from torch import Tensor, nn

from IncrementalSegLib.networks.monai_trunk import Kernel, Layer, MonaiForm, MonaiTrunk, Share, Step, Width
from IncrementalSegLib.networks.output import Features
from IncrementalSegLib.registry import register
from IncrementalSegLib.types import Dimension

Kernels = Kernel | tuple[Kernel, ...]


class UNetForm(MonaiForm):
    """Arguments of UNet."""

    spatial_dims: Dimension
    channels: Annotated[tuple[Width, ...], Field(min_length=2, max_length=10)]
    strides: tuple[Step | tuple[Step, ...], ...]
    kernel_size: Kernels = 3
    up_kernel_size: Kernels = 3
    num_res_units: Annotated[int, Field(ge=0, le=16)] = 0
    act: Layer = "prelu"
    norm: Layer = "instance"
    dropout: Share = 0.0
    bias: bool = True
    adn_ordering: Annotated[str, Field(pattern="^[NDA]{1,3}$")] = "NDA"

    @property
    def widths(self) -> tuple[int, ...]:
        """Filters per level."""
        return self.channels

    @property
    def steps(self) -> tuple[tuple[int, ...], ...]:
        """The stride of each level; the coarsest has none."""
        sizes = [(step,) * self.spatial_dims if isinstance(step, int) else step for step in self.strides]
        return (*sizes, (1,) * self.spatial_dims)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if len(self.strides) != len(self.channels) - 1:
            raise ValueError(f"{len(self.channels)} levels have {len(self.strides)} strides")
        given = [item for item in (*self.strides, self.kernel_size, self.up_kernel_size) if not isinstance(item, int)]
        if any(len(item) != self.spatial_dims for item in given):
            raise ValueError(f"sizes along {self.spatial_dims} axes are needed, not {given}")
        return self


class MonaiUNet(MonaiTrunk):
    """UNet, whose scores are its last map."""

    Form = UNetForm
    target = UNet

    @staticmethod
    def features(form: UNetForm) -> int:
        """Return the number of scores."""
        return form.out_channels

    def encode(self, image: Tensor) -> list[Tensor]:
        """Return the map of each level, finest first."""
        maps, rest = list[Tensor](), self.net.model
        for block in self._blocks():
            image, rest = block[0](image), block[1].submodule
            maps.append(image)
        return [*maps, rest(image)]

    def decode(self, encoded: Sequence[Tensor]) -> Features:
        """Return the scores, behind dropout of the features that they are made of."""
        features = self.drop(encoded[-1])
        ups = [block[2] for block in self._blocks()]
        for number, (up, level) in enumerate(zip(reversed(ups), reversed(encoded[:-1]), strict=True), start=1):
            joined = torch.cat([level, features], dim=1)
            features = up(self.drop(joined) if number == len(ups) else joined)
        return Features(tuple(encoded[:-1]), encoded[-1], features, features)

    def leave_first(self) -> None:
        """Remove the way down and the coarsest level."""
        for block in list(self._blocks()):
            block[0] = nn.Identity()
            if not _is_level(block[1].submodule):
                block[1].submodule = nn.Identity()

    def _blocks(self) -> Iterator[Any]:
        """Yield the way down, what lies between, and the way up, of each level."""
        block = self.net.model
        while _is_level(block):
            yield block
            block = block[1].submodule


def _is_level(block: nn.Module) -> bool:
    return isinstance(block, nn.Sequential) and len(block) == 3 and isinstance(block[1], SkipConnection)


@register("network", "monai-unet2d")
class MonaiUNet2d(MonaiUNet):
    """Slices in, slices out."""

    dimension = 2


@register("network", "monai-unet3d")
class MonaiUNet3d(MonaiUNet):
    """Volumes in, volumes out."""

    dimension = 3
