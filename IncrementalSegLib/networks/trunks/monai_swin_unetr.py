"""The SwinUNETR of MONAI (Hatamizadeh et al., BrainLes 2021): a transformer with shifted windows, then a U-Net."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Annotated, Any, Literal, Self

from monai.networks.nets.swin_unetr import SwinUNETR
from pydantic import Field, JsonValue, model_validator
from torch import Tensor, nn

from IncrementalSegLib.errors import ModelError
from IncrementalSegLib.networks.config import SegmenterConfig
from IncrementalSegLib.networks.monai_trunk import Count, Kernel, Layer, MonaiForm, MonaiTrunk, Share, check_size
from IncrementalSegLib.networks.output import Features
from IncrementalSegLib.registry import register

_LEVELS = 5
Four = tuple[Count, Count, Count, Count]


class SwinUNETRForm(MonaiForm):
    """Arguments of SwinUNETR; ``img_size`` of older ones has no meaning any more."""

    img_size: Annotated[JsonValue, Field(exclude=True)] = None
    patch_size: Literal[2] = 2
    depths: Four = (2, 2, 2, 2)
    num_heads: Four = (3, 6, 12, 24)
    window_size: Kernel | tuple[Kernel, ...] = 7
    qkv_bias: bool = True
    mlp_ratio: Annotated[float, Field(gt=0, le=16)] = 4.0
    feature_size: Annotated[int, Field(ge=12, le=192)] = 24
    norm_name: Layer = "instance"
    drop_rate: Share = 0.0
    attn_drop_rate: Share = 0.0
    dropout_path_rate: Share = 0.0
    normalize: bool = True
    patch_norm: bool = False
    use_checkpoint: bool = False
    downsample: Literal["merging", "mergingv2"] = "merging"
    use_v2: bool = False

    @property
    def widths(self) -> tuple[int, ...]:
        """Filters per level."""
        return (self.feature_size, *(self.feature_size * 2**level for level in range(_LEVELS)))

    @property
    def steps(self) -> tuple[tuple[int, ...], ...]:
        """Two at every level but the first."""
        return ((1,) * self.spatial_dims, *[(self.patch_size,) * self.spatial_dims] * _LEVELS)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if not isinstance(self.window_size, int) and len(self.window_size) != self.spatial_dims:
            raise ValueError(f"windows have {self.spatial_dims} sides, not {len(self.window_size)}")
        stages = zip(self.depths, self.widths[1:], strict=False)
        layers = sum(depth * int(4 + 2 * self.mlp_ratio) * width**2 for depth, width in stages)
        check_size(layers + 4 * 3**self.spatial_dims * self.widths[-1] ** 2)  # and the coarsest convolutions
        return self


class MonaiSwinUNETR(MonaiTrunk):
    """SwinUNETR before its last convolution."""

    Form = SwinUNETRForm
    target = SwinUNETR
    last = "out.conv.conv"
    reads_numbers = True
    first = ("swinViT", "encoder1", "encoder2", "encoder3", "encoder4", "encoder10")

    def __init__(self, config: SegmenterConfig) -> None:
        if find_spec("einops") is None:
            raise ModelError(
                "The network SwinUNETR cannot be made: einops is not installed.",
                "MONAI needs this package for it.",
                'pip install "incrementalseg[bundle]"',
            )
        super().__init__(config)

    @staticmethod
    def cut(net: Any) -> Any:
        """Return the module without its last convolution."""
        net.out = nn.Identity()
        return net

    def encode(self, image: Tensor) -> list[Tensor]:
        """Return the map of each level, finest first."""
        net = self.net
        hidden = net.swinViT(image, net.normalize)
        return [
            net.encoder1(image),
            net.encoder2(hidden[0]),
            net.encoder3(hidden[1]),
            net.encoder4(hidden[2]),
            hidden[3],
            net.encoder10(hidden[4]),
        ]

    def decode(self, encoded: Sequence[Tensor]) -> Features:
        """Run the way up, behind dropout."""
        net, last = self.net, self.drop(encoded[-1])
        ways = (net.decoder5, net.decoder4, net.decoder3, net.decoder2, net.decoder1)
        for way, skipped in zip(ways, reversed(encoded[:-1]), strict=True):
            last = way(last, skipped)
        return Features(tuple(encoded[:-1]), encoded[-1], last, self.drop(last))


@register("network", "monai-swinunetr2d")
class MonaiSwinUNETR2d(MonaiSwinUNETR):
    """Slices in, slices out."""

    dimension = 2


@register("network", "monai-swinunetr3d")
class MonaiSwinUNETR3d(MonaiSwinUNETR):
    """Volumes in, volumes out."""

    dimension = 3
