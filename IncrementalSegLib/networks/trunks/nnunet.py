"""The U-Nets of nnU-Net: PlainConvUNet and ResidualEncoderUNet (Isensee et al., Nature Methods 2021, MICCAI 2024).

Built from a :class:`~IncrementalSegLib.networks.config.Topology` and torch alone: the package that nnU-Net takes them
from, dynamic-network-architectures, requires timm and with it torchvision, which neither network uses.  Parameters
have the names that nnU-Net gives them, so that its weights fit.  The last convolution is the model's output, and those
of deep supervision belong to a training.  Channel dropout before the decoder and before the output is our addition, for
teaching and Monte Carlo passes; a prediction has none.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar, Self, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from IncrementalSegLib.errors import ModelError
from IncrementalSegLib.networks.config import SegmenterConfig, Topology
from IncrementalSegLib.networks.dropout import ChannelDropout
from IncrementalSegLib.networks.halved import HalvedTrunk
from IncrementalSegLib.networks.output import Features
from IncrementalSegLib.registry import register

Sizes = tuple[int, ...]

Encoded = list[list[Tensor]]
"""Maps of the stages of each member, finest first."""


class InstanceNorm(nn.GroupNorm):
    """Instance normalisation with a weight and a bias, for 2-D and 3-D.

    A group for each channel on a CPU, where that takes less than half the time of torch's instance normalisation.
    Autocast on a GPU would normalise groups in full precision.
    """

    def __init__(self, channels: int, eps: float) -> None:
        super().__init__(channels, channels, eps)

    def forward(self, features: Tensor) -> Tensor:
        """Return ``(B, F, *S)``, each channel of each item with mean 0 and variance 1 before weight and bias."""
        if features.device.type == "cpu":
            return super().forward(features.contiguous())  # channels last it loses precision
        return F.instance_norm(features, weight=self.weight, bias=self.bias, eps=self.eps)


class Convolution(nn.Module):
    """Convolution, instance normalisation and, unless it is left out, leaky ReLU."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: Sizes,
        stride: Sizes,
        form: Topology,
        *,
        bias: bool,
        active: bool = True,
    ) -> None:
        super().__init__()
        padding = tuple(size // 2 for size in kernel)
        convolution = nn.Conv2d if len(kernel) == 2 else nn.Conv3d
        self.conv = convolution(inputs, outputs, kernel, stride, padding, bias=bias)  # type: ignore[arg-type]
        self.norm = InstanceNorm(outputs, form.epsilon)
        self.act = nn.LeakyReLU(form.slope, inplace=True) if active else nn.Identity()

    def forward(self, image: Tensor) -> Tensor:
        """Return ``(B, outputs, *S / stride)``."""
        features: Tensor = self.act(self.norm(self.conv(image)))
        return features


class Convolutions(nn.Module):
    """Convolutions of one stage; the first one has the stride.

    Attributes:
        filters: Channels of its map.
        kernel: Kernel size.
    """

    def __init__(self, count: int, inputs: int, outputs: int, kernel: Sizes, stride: Sizes, form: Topology) -> None:
        super().__init__()
        self.filters, self.kernel = outputs, kernel
        once = (1,) * len(kernel)
        steps = [(inputs, stride), *[(outputs, once)] * (count - 1)]
        self.convs = nn.Sequential(
            *(Convolution(size, outputs, kernel, step, form, bias=form.bias) for size, step in steps)
        )

    def forward(self, image: Tensor) -> Tensor:
        """Return ``(B, outputs, *S / stride)``."""
        features: Tensor = self.convs(image)
        return features


class Residual(nn.Module):
    """Two convolutions beside a shortcut: average pooling where there is a stride, 1x1 where the width changes."""

    def __init__(self, inputs: int, outputs: int, kernel: Sizes, stride: Sizes, form: Topology) -> None:
        super().__init__()
        once = (1,) * len(kernel)
        self.conv1 = Convolution(inputs, outputs, kernel, stride, form, bias=form.bias)
        self.conv2 = Convolution(outputs, outputs, kernel, once, form, bias=form.bias, active=False)
        shortcut: list[nn.Module] = []
        if stride != once:
            pool = nn.AvgPool2d if len(kernel) == 2 else nn.AvgPool3d
            shortcut.append(pool(stride, stride))  # type: ignore[arg-type]
        if inputs != outputs:
            shortcut.append(Convolution(inputs, outputs, once, once, form, bias=False, active=False))
        self.skip = nn.Sequential(*shortcut)
        self.act = nn.LeakyReLU(form.slope, inplace=True)

    def forward(self, image: Tensor) -> Tensor:
        """Return ``(B, outputs, *S / stride)``."""
        features: Tensor = self.act(self.conv2(self.conv1(image)) + self.skip(image))
        return features


class Residuals(nn.Module):
    """Residual blocks of one stage; the first one has the stride."""

    def __init__(self, count: int, inputs: int, outputs: int, kernel: Sizes, stride: Sizes, form: Topology) -> None:
        super().__init__()
        once = (1,) * len(kernel)
        steps = [(inputs, stride), *[(outputs, once)] * (count - 1)]
        self.blocks = nn.Sequential(*(Residual(size, outputs, kernel, step, form) for size, step in steps))

    def forward(self, image: Tensor) -> Tensor:
        """Return ``(B, outputs, *S / stride)``."""
        features: Tensor = self.blocks(image)
        return features


class Encoder(nn.Module):
    """Stages from the finest to the coarsest, with a stem where their blocks are residual."""

    def __init__(self, channels: int, widths: Sizes, form: Topology) -> None:
        super().__init__()
        once, inputs = (1,) * len(form.kernels[0]), channels
        self.stem: nn.Module = nn.Identity()
        if form.residual:
            self.stem, inputs = Convolutions(1, channels, widths[0], form.kernels[0], once, form), widths[0]
        self.stages = nn.Sequential(
            *(
                Residuals(*sizes, form) if form.residual else nn.Sequential(Convolutions(*sizes, form))
                for sizes in zip(form.encoder, (inputs, *widths), widths, form.kernels, form.strides, strict=False)
            )
        )

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return the map of each stage of ``(B, C, *S)``."""
        maps, image = [], self.stem(image)
        for stage in self.stages:
            image = stage(image)
            maps.append(image)
        return maps


class Decoder(nn.Module):
    """Stages from the coarsest to the finest, each behind a transposed convolution and beside the encoder's map.

    Args:
        widths: Filters of each stage of the encoder, finest first.
        form: Kernels, strides and convolutions of the stages.
        own: Filters of each stage; by default those of the encoder. The coarsest stage is the encoder's.
    """

    def __init__(self, widths: Sizes, form: Topology, own: Sequence[int] | None = None) -> None:
        super().__init__()
        filters = widths if own is None else (*own[:-1], widths[-1])
        once = (1,) * len(form.kernels[0])
        upward = nn.ConvTranspose2d if len(once) == 2 else nn.ConvTranspose3d
        stages, steps = [], []
        for (coarse, fine), skipped, kernel, stride, count in zip(
            pairwise(reversed(filters)),
            widths[-2::-1],
            form.kernels[-2::-1],
            form.strides[:0:-1],
            form.decoder,
            strict=True,
        ):
            steps.append(upward(coarse, fine, stride, stride, bias=form.bias))  # type: ignore[arg-type]
            stages.append(Convolutions(count, fine + skipped, fine, kernel, once, form))
        self.stages, self.transpconvs = nn.ModuleList(stages), nn.ModuleList(steps)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Return the last map ``(B, F, *S)`` for the maps of the encoder."""
        features = maps[-1]
        for upward, stage, level in zip(self.transpconvs, self.stages, reversed(maps[:-1]), strict=True):
            features = stage(torch.cat([upward(features), level], dim=1))
        return features


class Member(nn.Module):
    """One U-Net of nnU-Net without its output, or with ``second`` only a decoder of so many filters."""

    def __init__(self, channels: int, widths: Sizes, form: Topology, second: Sequence[int] | None = None) -> None:
        super().__init__()
        if second is None:
            self.encoder = Encoder(channels, widths, form)
        self.decoder = Decoder(widths, form, second)

    def encode(self, image: Tensor) -> list[Tensor]:
        """Return the map of each stage of the encoder."""
        maps: list[Tensor] = self.encoder(image)
        return maps

    def decode(self, maps: Sequence[Tensor]) -> Tensor:
        """Return the last map of the decoder."""
        features: Tensor = self.decoder(maps)
        return features


class NnUNet(HalvedTrunk):
    """One or several U-Nets side by side, as a trunk.

    Features are those of all members, one after the other, so that an output with a share of each member's last
    convolution gives the mean of their scores.

    Args:
        config: Channels, widths, dropout and topology.
        second: Filters per stage of the decoders that :meth:`decode` runs, where they are wanted alone, on the maps of
            the encoders of another network.

    Attributes:
        config: What it was made with.
        dimension: Spatial axes, 2 or 3.
        random_encoder: Whether two random passes differ before :meth:`decode`.
        adopted: Only models that another program trained have this network.
        Form: Class of what describes the network beside its name and widths.
        decoder_channels: Channels of the last decoder maps together.

    Raises:
        ModelError: The configuration has no topology, or one of other axes or stages.
    """

    adopted: ClassVar[bool] = False
    Form: ClassVar[type[Topology]] = Topology

    def __init__(self, config: SegmenterConfig, second: Sequence[int] | None = None) -> None:
        super().__init__()
        self.config = config
        form = config.topology
        fits = isinstance(form, Topology) and (len(form.kernels[0]), len(form.kernels)) == (
            self.dimension,
            len(config.widths),
        )
        if not isinstance(form, Topology) or not fits:
            raise ModelError(
                f"The network {config.network} cannot be made: its form is not given, or of other stages.",
                "It comes from the plan of a model.",
                "Teach a new model with it, or adopt a model of nnU-Net.",
            )
        self.decoder_channels = form.members * (config.widths if second is None else second)[0]
        self.members = nn.ModuleList(Member(config.channels, config.widths, form, second) for _ in range(form.members))
        self.drop = ChannelDropout(config.dropout)
        if form.deep:
            self._initialise(form.slope)

    def _initialise(self, slope: float) -> None:
        """Draw the weights of convolutions as nnU-Net does (He et al., ICCV 2015), with biases of zero."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Conv3d | nn.ConvTranspose2d | nn.ConvTranspose3d):
                nn.init.kaiming_normal_(module.weight, a=slope)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def second_half(self, widths: Sequence[int]) -> Self:
        """Return freshly initialised decoders for the maps of this network's encoders.

        Args:
            widths: Filters per stage, finest first; of the coarsest the encoder's count.
        """
        return type(self)(self.config, widths)

    def encode(self, image: Tensor) -> Encoded:
        """Run the encoders on ``(B, C, *S)``."""
        return [member.encode(image) for member in self._members]

    def decode(self, encoded: Encoded) -> Features:
        """Run the decoders, behind dropout."""
        levels = [torch.cat(maps, dim=1) for maps in zip(*encoded, strict=True)]
        pairs = zip(self._members, encoded, strict=True)
        last = torch.cat([member.decode([*maps[:-1], self.drop(maps[-1])]) for member, maps in pairs], dim=1)
        return Features(tuple(levels[:-1]), levels[-1], last, self.drop(last))

    def forward(self, image: Tensor) -> Features:
        """Return the features of ``(B, C, *S)``; sizes must be multiples of the product of the strides."""
        return self.decode(self.encode(image))

    @property
    def decoders(self) -> list[Decoder]:
        """The decoder of each member."""
        return [member.decoder for member in self._members]

    @property
    def _members(self) -> list[Member]:
        return [cast(Member, member) for member in self.members]


@register("network", "nnunet2d")
class NnUNet2d(NnUNet):
    """Slices in, slices out."""

    dimension = 2


@register("network", "nnunet3d")
class NnUNet3d(NnUNet):
    """Volumes in, volumes out."""

    dimension = 3
