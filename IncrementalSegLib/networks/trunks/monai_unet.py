"""The UNet of MONAI: strided convolutions or residual units on the way down, transposed ones on the way up.

Its last layer is no 1x1 convolution: where it has residual units, the scores themselves are convolved once more.  So
its scores are its last map, and a new structure is scored on those of all others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Self

import torch
from monai.networks.layers.simplelayers import SkipConnection
from monai.networks.nets.unet import UNet
from pydantic import Field, model_validator
from torch import Tensor, nn

from IncrementalSegLib.errors import ModelError
from IncrementalSegLib.networks.monai_trunk import Kernel, Layer, MonaiForm, MonaiTrunk, Share, Step, Width
from IncrementalSegLib.networks.output import Features
from IncrementalSegLib.registry import register
from IncrementalSegLib.types import Dimension

_UP = "model.2"  # the last layers
_APART = ("instance", "batch")  # normalise each channel apart

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

    @classmethod
    def released(cls, form: UNetForm, rows: tuple[Tensor, Tensor]) -> UNetForm:
        """Return the form of a module with so many scores.

        Raises:
            ModelError: Its last layers cannot have them.
        """
        count, norm = len(rows[1]), form.norm if isinstance(form.norm, str) else form.norm[0]
        same = count == form.out_channels
        if form.num_res_units and (count < form.out_channels or not (same or norm.lower() in _APART)):
            raise ModelError(
                f"a UNet with residual units and the normalisation {norm} has {form.out_channels} scores, not {count}",
                "Its last layers convolve the scores themselves, as many as it was adopted with, or more where each is "
                "normalised apart.",
            )
        return form.model_copy(update={"out_channels": count, "bias": form.bias or bool(rows[1].any())})

    @classmethod
    def last_layers(
        cls, form: UNetForm, weights: Mapping[str, Tensor], rows: tuple[Tensor, Tensor]
    ) -> dict[str, Tensor]:
        """Return the weights with the last layers that give the rows of the scores; see :func:`_convolved`."""
        found, (weight, bias) = dict(weights), rows
        weight = weight.flatten(1)
        if not form.num_res_units:
            found[_UP + ".conv.weight"] = torch.einsum("rk,ik...->ir...", weight, weights[_UP + ".conv.weight"])
            found[_UP + ".conv.bias"] = weight @ found.get(_UP + ".conv.bias", weight.new_zeros(weight.shape[1])) + bias
            return found if form.bias else _without_bias(found)
        for name in [name for name in found if name.startswith((_UP + ".0.conv.", _UP + ".0.adn.N."))]:
            axis = 1 if name == _UP + ".0.conv.weight" else 0
            fill = 1.0 if name.endswith((".N.weight", ".running_var")) else 0.0
            if found[name].ndim:
                found[name] = _lengthened(found[name], axis, len(bias), fill)
        last = _UP + ".1.conv.unit0.conv"
        found[last + ".bias"] = weight @ found.get(last + ".bias", weight.new_zeros(weight.shape[1])) + bias
        found[last + ".weight"] = _convolved(weights[last + ".weight"], weight)
        return found if form.bias else _without_bias(found)

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


def _convolved(kernel: Tensor, weight: Tensor) -> Tensor:
    """Return the kernel of the last residual unit for other rows of its scores.

    The unit gives ``t + K t`` of features t.  Rows W of it are ``t' + K' t'`` for features t' that are t and then
    others, if ``K'`` is ``W K``, and in its middle ``W - 1`` in addition.
    """
    count, known = weight.shape
    found = kernel.new_zeros(count, count, *kernel.shape[2:])
    found[:, :known] = torch.einsum("rk,kc...->rc...", weight, kernel)
    middle = found
    for size in kernel.shape[2:]:
        middle = middle.select(2, size // 2)
    middle += _lengthened(weight, 1, count, 0.0) - torch.eye(count)
    return found


def _lengthened(tensor: Tensor, axis: int, count: int, fill: float) -> Tensor:
    """Return a tensor that has ``count`` entries along an axis."""
    shape = list(tensor.shape)
    shape[axis] = count - shape[axis]
    return torch.cat([tensor, tensor.new_full(shape, fill)], dim=axis)


def _without_bias(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: item for name, item in weights.items() if not name.endswith(".conv.bias")}


@register("network", "monai-unet2d")
class MonaiUNet2d(MonaiUNet):
    """Slices in, slices out."""

    dimension = 2


@register("network", "monai-unet3d")
class MonaiUNet3d(MonaiUNet):
    """Volumes in, volumes out."""

    dimension = 3
