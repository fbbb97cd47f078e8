"""The DynUNet of MONAI, after nnU-Net's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Self

from monai.networks.nets.dynunet import DynUNet
from pydantic import Field, model_validator
from torch import Tensor, nn

from IncrementalSegLib.networks.monai_trunk import Kernel, Layer, MonaiForm, MonaiTrunk, Share, Step, Width
from IncrementalSegLib.networks.output import Features
from IncrementalSegLib.registry import register
from IncrementalSegLib.types import Dimension

_UNUSED = ("skip_layers.", "deep_supervision_heads.")  # the first names what is there already

Steps = tuple[Step | tuple[Step, ...], ...]


class DynUNetForm(MonaiForm):
    """Arguments of DynUNet."""

    spatial_dims: Dimension
    kernel_size: Annotated[tuple[Kernel | tuple[Kernel, ...], ...], Field(min_length=3, max_length=10)]
    strides: Steps
    upsample_kernel_size: Steps
    filters: tuple[Width, ...] | None = None
    dropout: Share | None = None
    norm_name: Layer = ("instance", {"affine": True})
    act_name: Layer = ("leakyrelu", {"inplace": True, "negative_slope": 0.01})
    deep_supervision: bool = False
    deep_supr_num: Annotated[int, Field(ge=1, le=10)] = 1
    res_block: bool = False
    trans_bias: bool = False

    @property
    def widths(self) -> tuple[int, ...]:
        """Filters per level."""
        count, most = len(self.strides), 320 if self.spatial_dims == 3 else 512
        return tuple(min(2 ** (5 + level), most) for level in range(count)) if self.filters is None else self.filters

    @property
    def steps(self) -> tuple[tuple[int, ...], ...]:
        """The stride of each level."""
        return self._sizes(self.strides)

    def _sizes(self, given: Steps) -> tuple[tuple[int, ...], ...]:
        return tuple((item,) * self.spatial_dims if isinstance(item, int) else item for item in given)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if not len(self.kernel_size) == len(self.strides) == len(self.widths):
            raise ValueError(f"{len(self.widths)} levels, {len(self.kernel_size)} kernels, {len(self.strides)} strides")
        if any(len(size) != self.spatial_dims for size in (*self.steps, *self._sizes(self.upsample_kernel_size))):
            raise ValueError(f"sizes along {self.spatial_dims} axes are needed")
        if set(self.steps[0]) != {1} or self._sizes(self.upsample_kernel_size) != self.steps[1:]:
            raise ValueError("the first stride has to be 1, and the way up has to have the strides of the way down")
        return self


class MonaiDynUNet(MonaiTrunk):
    """DynUNet before its last convolution; heads of deep supervision are dropped."""

    Form = DynUNetForm
    target = DynUNet
    last = "output_block.conv.conv"
    first = ("input_block", "downsamples", "bottleneck")

    @staticmethod
    def cut(net: DynUNet) -> DynUNet:
        """Return the module without what only training needs, and without its last convolution."""
        del net.skip_layers
        if net.deep_supervision:
            del net.deep_supervision_heads
        net.output_block = nn.Identity()
        return net

    @classmethod
    def stored(cls, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the weights that a prediction uses, each once."""
        return {name: item for name, item in weights.items() if not name.startswith(_UNUSED)}

    @classmethod
    def released(cls, form: DynUNetForm, rows: tuple[Tensor, Tensor]) -> DynUNetForm:
        """Return the form of a module with so many scores, without deep supervision."""
        return form.model_copy(update={"out_channels": len(rows[1]), "deep_supervision": False})

    def encode(self, image: Tensor) -> list[Tensor]:
        """Return the map of each level, finest first."""
        maps = [self.net.input_block(image)]
        for level in self.net.downsamples:
            maps.append(level(maps[-1]))
        return [*maps, self.net.bottleneck(maps[-1])]

    def decode(self, encoded: Sequence[Tensor]) -> Features:
        """Run the way up, behind dropout."""
        last = self.drop(encoded[-1])
        for level, skipped in zip(self.net.upsamples, reversed(encoded[:-1]), strict=True):
            last = level(last, skipped)
        return Features(tuple(encoded[:-1]), encoded[-1], last, self.drop(last))


@register("network", "monai-dynunet2d")
class MonaiDynUNet2d(MonaiDynUNet):
    """Slices in, slices out."""

    dimension = 2


@register("network", "monai-dynunet3d")
class MonaiDynUNet3d(MonaiDynUNet):
    """Volumes in, volumes out."""

    dimension = 3
