"""The SegResNet of MONAI (Myronenko, BrainLes 2018, without the autoencoder)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from monai.networks.nets.segresnet import SegResNet
from pydantic import Field, model_validator
from torch import Tensor, nn

from IncrementalSegLib.networks.monai_trunk import Count, Layer, MonaiForm, MonaiTrunk, Share
from IncrementalSegLib.networks.output import Features
from IncrementalSegLib.registry import register

_WITHOUT_WEIGHTS = ("relu", "leakyrelu", "elu", "gelu", "relu6", "selu", "swish", "mish", "memswish", "softplus")


class SegResNetForm(MonaiForm):
    """Arguments of SegResNet."""

    out_channels: Annotated[int, Field(ge=1, le=512)] = 2
    init_filters: Annotated[int, Field(ge=1, le=256)] = 8
    dropout_prob: Share | None = None
    act: Layer = ("relu", {"inplace": True})
    norm: Layer = ("group", {"num_groups": 8})
    norm_name: str = ""
    num_groups: Annotated[int, Field(ge=1, le=256)] = 8
    use_conv_final: Literal[True] = True
    blocks_down: Annotated[tuple[Count, ...], Field(min_length=2, max_length=8)] = (1, 2, 2, 4)
    blocks_up: tuple[Count, ...] = (1, 1, 1)
    upsample_mode: Literal["deconv", "nontrainable", "pixelshuffle"] = "nontrainable"

    @property
    def widths(self) -> tuple[int, ...]:
        """Filters per level."""
        return tuple(self.init_filters * 2**level for level in range(len(self.blocks_down)))

    @property
    def steps(self) -> tuple[tuple[int, ...], ...]:
        """Two at every level but the first."""
        return tuple((1 if level == 0 else 2,) * self.spatial_dims for level in range(len(self.blocks_down)))

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if len(self.blocks_up) != len(self.blocks_down) - 1:
            raise ValueError(f"{len(self.blocks_down)} levels have {len(self.blocks_up)} on the way up")
        name = self.act if isinstance(self.act, str) else self.act[0]
        if name.lower() not in _WITHOUT_WEIGHTS:
            raise ValueError(f"activations are {', '.join(_WITHOUT_WEIGHTS)}, not {name[:50]}")
        return self


class MonaiSegResNet(MonaiTrunk):
    """SegResNet before its last convolution."""

    Form = SegResNetForm
    target = SegResNet
    last = "conv_final.2.conv"
    first = ("convInit", "down_layers")

    @staticmethod
    def cut(net: SegResNet) -> SegResNet:
        """Return the module without its last convolution."""
        net.conv_final[2] = nn.Identity()
        return net

    def encode(self, image: Tensor) -> list[Tensor]:
        """Return the map of each level, finest first."""
        maps: list[Tensor] = self.net.encode(image)[1]
        return maps

    def decode(self, encoded: Sequence[Tensor]) -> Features:
        """Run the way up, behind dropout."""
        last = self.net.decode(self.drop(encoded[-1]), list(reversed(encoded)))
        return Features(tuple(encoded[:-1]), encoded[-1], last, self.drop(last))


@register("network", "monai-segresnet2d")
class MonaiSegResNet2d(MonaiSegResNet):
    """Slices in, slices out."""

    dimension = 2


@register("network", "monai-segresnet3d")
class MonaiSegResNet3d(MonaiSegResNet):
    """Volumes in, volumes out."""

    dimension = 3
