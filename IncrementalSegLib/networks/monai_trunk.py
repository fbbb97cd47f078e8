"""Networks of MONAI as trunks: a class of ``monai.networks.nets``, cut in two halves and before its last convolution.

Each class has a file of its own in :mod:`.trunks`, with the arguments that it may be built with.  Parameters have the
names that MONAI gives them, so that its weights fit.  Dropout of MONAI is left out.  Channel dropout before the decoder
and before the output is our addition, as in adopted networks of nnU-Net.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Self

import torch
from monai.networks.blocks import Convolution
from monai.networks.layers.drop_path import DropPath
from pydantic import AfterValidator, Field
from torch import Tensor, nn

from IncrementalSegLib.errors import ModelError
from IncrementalSegLib.networks.config import NetworkForm, SegmenterConfig
from IncrementalSegLib.networks.dropout import ChannelDropout
from IncrementalSegLib.networks.halved import HalvedTrunk, SecondHalf
from IncrementalSegLib.networks.output import Features
from IncrementalSegLib.types import Dimension

Width = Annotated[int, Field(ge=1, le=2048)]
"""Filters of a level."""

Count = Annotated[int, Field(ge=1, le=32)]
"""Blocks of a level."""

Step = Annotated[int, Field(ge=1, le=4)]
"""Stride."""

Kernel = Annotated[int, Field(ge=1, le=15)]
"""Side of a convolution."""

Share = Annotated[float, Field(ge=0, le=1)]
"""Probability of dropout."""


def _sane(arguments: dict[str, bool | int | float]) -> dict[str, bool | int | float]:
    if not 0 < (epsilon := arguments.get("eps", 1e-5)) <= 1:
        raise ValueError(f"eps has to be above 0 and at most 1, not {epsilon}")
    return arguments


_Argument = bool | int | Annotated[float, Field(ge=-1e6, le=1e6)]
Layer = str | tuple[str, Annotated[dict[str, _Argument], AfterValidator(_sane)]]
"""Name of a normalisation or activation, alone or with its arguments."""

MOST_WEIGHTS = 2**29
"""Parameters of a network; the largest one of MONAI's model zoo has a tenth of them."""

_DROPOUT = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)
_UNFIT = (AssertionError, TypeError, ValueError, KeyError, AttributeError, RuntimeError, NotImplementedError)
"""Errors of MONAI for arguments that do not fit together; it checks few of them and fails wherever they do not."""


class MonaiForm(NetworkForm):
    """Base of the arguments of a network of MONAI, by their names there, without ``in_channels``.

    Any other argument changes the network and is refused.
    """

    spatial_dims: Dimension = 3
    """Spatial axes."""
    out_channels: Annotated[int, Field(ge=1, le=512)]
    """Outputs when the network was adopted."""

    @property
    def widths(self) -> tuple[int, ...]:
        """Filters of the maps that the first half returns, finest first."""
        raise NotImplementedError

    @property
    def steps(self) -> tuple[tuple[int, ...], ...]:
        """Along each axis, how much coarser each of these maps is than the one before; the first, than the image."""
        raise NotImplementedError

    @property
    def multiples(self) -> tuple[int, ...]:
        """The product of the steps along each axis."""
        return tuple(math.prod(steps) for steps in zip(*self.steps, strict=True))

    def arguments(self) -> dict[str, Any]:
        """Return the arguments for MONAI's class, as JSON has them, without ``in_channels``."""
        return self.model_dump(mode="json", exclude_none=True)


class MonaiTrunk(HalvedTrunk):
    """Base of the trunks that are networks of MONAI.

    Args:
        config: Channels, widths, dropout and the form.

    Attributes:
        config: What it was made with.
        dimension: Spatial axes, 2 or 3.
        random_encoder: Whether two random passes differ before :meth:`decode`.
        adopted: Only models that another program trained have this network.
        Form: Class of its arguments.
        target: Its class in ``monai.networks.nets``.
        last: Name of its last convolution, which is 1x1; empty where there is no such convolution, and the last map
            are the scores themselves.
        first: Names of the modules of the first half.
        reads_numbers: It reads its own numbers while it is built, so that these have to be real; its form bounds its
            size.
        net: MONAI's module without the last convolution.
        decoder_channels: Channels of the last decoder map.

    Raises:
        ModelError: MONAI does not build a network of this form.
    """

    adopted: ClassVar[bool] = True
    Form: ClassVar[type[MonaiForm]]
    target: ClassVar[type[nn.Module]]
    last: ClassVar[str] = ""
    first: ClassVar[tuple[str, ...]] = ()
    reads_numbers: ClassVar[bool] = False

    def __init__(self, config: SegmenterConfig) -> None:
        super().__init__()
        form = config.topology
        if not isinstance(form, self.Form) or form.spatial_dims != self.dimension or form.widths != config.widths:
            raise ModelError(
                f"The network {config.network} cannot be made: its form is not given, or of other levels.",
                "It comes from a MONAI bundle.",
                "Choose another network, or adopt a bundle.",
            )
        self.config = config
        self.net = self.cut(self.whole(form, config.channels))
        for module in self.net.modules():
            if isinstance(module, _DROPOUT):
                module.p = 0.0
            elif isinstance(module, DropPath):
                module.drop_prob = 0.0
        self.decoder_channels = self.features(form)
        self.drop = ChannelDropout(config.dropout)

    @classmethod
    def whole(cls, form: MonaiForm, channels: int, **changes: Any) -> nn.Module:
        """Return MONAI's module for a form, freshly initialised.

        Args:
            form: Its arguments.
            channels: Channels of the image.
            changes: Other values for some arguments.

        Raises:
            ModelError: MONAI does not build it.
        """
        given = form.arguments() | {"in_channels": channels} | changes
        try:
            if not cls.reads_numbers:
                with torch.device("meta"):  # no memory, before their sizes are known
                    check_size(sum(item.numel() for item in cls.target(**given).parameters()))
            with torch.device("cpu"):
                network = cls.target(**given)
        except _UNFIT as error:
            raise ModelError(
                f"MONAI does not build a {cls.target.__name__} of these arguments: {error}",
                "Its arguments do not fit together.",
                "Check the network in the bundle.",
            ) from error
        return network.to(torch.get_default_device())

    @staticmethod
    def cut(net: Any) -> Any:
        """Return the module without its last convolution."""
        return net

    @staticmethod
    def features(form: Any) -> int:
        """Return the channels of the last map."""
        return int(form.widths[0])

    @classmethod
    def stored(cls, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the weights of MONAI's module without those that it names twice or does not predict with."""
        return dict(weights)

    @classmethod
    def joined(
        cls, form: Any, channels: int, weights: Mapping[str, Tensor], rows: tuple[Tensor, Tensor]
    ) -> tuple[Any, dict[str, Tensor]]:
        """Return the form and the weights of MONAI's module that has a trunk's weights and gives a model's scores.

        Args:
            form: The form of the trunk.
            channels: Channels of the image.
            weights: Of :attr:`net`.
            rows: Weight ``(scores, features, *1)`` and bias of a last convolution.

        Raises:
            ModelError: The module cannot give these scores.
        """
        form = cls.released(form, rows)
        network = cls.whole(form, channels)
        own = cls.stored(network.state_dict())
        found = {name: torch.zeros_like(item) for name, item in own.items() if name.endswith(".bias")}
        found |= cls.last_layers(form, weights, rows)
        left_out = network.load_state_dict(found, strict=False)
        assert not left_out.unexpected_keys, left_out
        return form, network.state_dict()

    @classmethod
    def released(cls, form: Any, rows: tuple[Tensor, Tensor]) -> Any:
        """Return the form of a module with so many scores."""
        return form.model_copy(update={"out_channels": len(rows[1])})

    @classmethod
    def last_layers(cls, form: Any, weights: Mapping[str, Tensor], rows: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        """Return the weights of a trunk together with those of a last convolution."""
        return dict(weights) | {f"{cls.last}.weight": rows[0], f"{cls.last}.bias": rows[1]}

    def encode(self, image: Tensor) -> list[Tensor]:
        """Return the maps of the first half for ``(B, C, *S)``, finest first."""
        raise NotImplementedError

    def decode(self, encoded: Sequence[Tensor]) -> Features:
        """Run the second half."""
        raise NotImplementedError

    def forward(self, image: Tensor) -> Features:
        """Return the features of ``(B, C, *S)``; sizes must be multiples of the product of the strides."""
        return self.decode(self.encode(image))

    def second_half(self, widths: Sequence[int]) -> Self | PlainDecoder:
        """Return a freshly initialised second half for the maps of this network's first half.

        Args:
            widths: Filters per level, finest first.  With those of the network it is the network's own second half,
                with others, which its classes do not allow, a plain decoder.
        """
        if tuple(widths) != self.config.widths:
            return PlainDecoder(self, widths)
        half = type(self)(self.config)
        half.leave_first()
        return half

    def leave_first(self) -> None:
        """Remove the first half."""
        for name in self.first:
            delattr(self.net, name)


def check_size(weights: int) -> None:
    """Refuse a network that is too large to be built.

    Raises:
        ValueError: It has too many weights.
    """
    if weights > MOST_WEIGHTS:
        raise ValueError(f"it would have {weights:.3g} parameters; {MOST_WEIGHTS} are allowed")


class PlainDecoder(SecondHalf):
    """A U-Net's decoder for the maps of a network's first half: two convolutions for each level.

    Args:
        trunk: The network.
        widths: Filters per level, finest first.

    Attributes:
        decoder_channels: Channels of the last map.
    """

    def __init__(self, trunk: MonaiTrunk, widths: Sequence[int]) -> None:
        super().__init__()
        form, dimension = trunk.config.topology, trunk.dimension
        assert isinstance(form, MonaiForm)

        def block(inputs: int, outputs: int) -> nn.Module:
            sizes = ((inputs, outputs), (outputs, outputs))
            return nn.Sequential(*(Convolution(dimension, *pair, act="leakyrelu", norm="instance") for pair in sizes))

        def upward(inputs: int, outputs: int, step: Sequence[int]) -> nn.Module:
            convolution = nn.ConvTranspose2d if dimension == 2 else nn.ConvTranspose3d
            return convolution(inputs, outputs, tuple(step), tuple(step))  # type: ignore[arg-type]

        self.decoder_channels = widths[0]
        self.bottom = block(form.widths[-1], widths[-1])
        levels = list(zip(widths[1:], widths, form.widths, form.steps[1:], strict=False))[::-1]
        self.up = nn.ModuleList(upward(coarse, fine, step) for coarse, fine, _, step in levels)
        self.merge = nn.ModuleList(block(fine + skipped, fine) for _, fine, skipped, _ in levels)
        finest = form.steps[0]
        self.last = upward(widths[0], widths[0], finest) if max(finest) > 1 else nn.Identity()
        self.drop = ChannelDropout(trunk.config.dropout)

    def decode(self, encoded: Sequence[Tensor]) -> Features:
        """Run the decoder, behind dropout."""
        features = abstraction = self.bottom(self.drop(encoded[-1]))
        for up, merge, level in zip(self.up, self.merge, reversed(encoded[:-1]), strict=True):
            features = merge(torch.cat([up(features), level], dim=1))
        last = self.last(features)
        return Features(tuple(encoded[:-1]), abstraction, last, self.drop(last))
