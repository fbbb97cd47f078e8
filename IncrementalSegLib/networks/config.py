"""Configuration of a segmenter."""

from __future__ import annotations

import math
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SerializeAsAny, ValidationInfo, field_validator, model_validator

from IncrementalSegLib.registry import find

MaskPrior = Literal["stick_breaking", "beta_bernoulli"]
"""Prior of the kernel masks of a Bayesian trunk: whether they depend on each other."""


_MOST_STAGES, _MOST_CONVOLUTIONS, _WIDEST_KERNEL, _STEPS = 10, 32, 15, range(1, 5)


class NetworkForm(BaseModel):
    """Base of what describes a network beside its name and widths; each network says which form is its own."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)

    @property
    def multiples(self) -> tuple[int, ...]:
        """Sizes that the network can take are multiples of these, along each axis that it sees."""
        raise NotImplementedError


class Topology(NetworkForm):
    """Form of a U-Net of nnU-Net, stage by stage; sizes along the axes that the network sees."""

    kernels: tuple[tuple[int, ...], ...]
    """Kernel size of the convolutions of each stage, finest first."""
    strides: tuple[tuple[int, ...], ...]
    """Stride at the start of each stage; 1 everywhere in the first."""
    encoder: tuple[int, ...]
    """Convolutions, or residual blocks, of each stage of the encoder."""
    decoder: tuple[int, ...]
    """Convolutions of each stage of the decoder, coarsest first."""
    residual: bool = False
    """The encoder has residual blocks behind a stem, instead of plain convolutions."""
    bias: bool = True
    """Whether convolutions have a bias."""
    epsilon: Annotated[float, Field(gt=0, le=1)] = 1e-5
    """Added to the variance by instance normalisation."""
    slope: Annotated[float, Field(ge=0, le=1)] = 0.01
    """Slope of leaky ReLU below zero."""
    members: Annotated[int, Field(ge=1, le=10)] = 1
    """Networks of this form side by side: the folds of an ensemble."""
    deep: bool = False
    """The coarser levels of the decoder are supervised too while the model learns."""

    @property
    def multiples(self) -> tuple[int, ...]:
        """The product of the strides along each axis."""
        return tuple(math.prod(steps) for steps in zip(*self.strides, strict=True))

    @model_validator(mode="after")
    def _fits(self) -> Self:
        """Refuse stages that do not fit together."""
        stages = len(self.kernels)
        lengths = {len(item) for item in (*self.kernels, *self.strides)}
        if not 2 <= stages <= _MOST_STAGES or lengths not in ({2}, {3}):
            raise ValueError(f"{stages} stages with sizes along {sorted(lengths)} axes")
        if not stages == len(self.strides) == len(self.encoder) == len(self.decoder) + 1:
            raise ValueError(
                f"{stages} kernels, {len(self.strides)} strides, {len(self.encoder)} and more convolutions"
            )
        if any(size % 2 == 0 or not 1 <= size <= _WIDEST_KERNEL for kernel in self.kernels for size in kernel):
            raise ValueError(f"kernels have to be odd, up to {_WIDEST_KERNEL}, not {self.kernels}")
        if any(step not in _STEPS for stride in self.strides for step in stride) or set(self.strides[0]) != {1}:
            raise ValueError(f"strides have to be 1 in the first stage and 1 to 4 in others, not {self.strides}")
        if not all(1 <= count <= _MOST_CONVOLUTIONS for count in (*self.encoder, *self.decoder)):
            raise ValueError(f"a stage has 1 to {_MOST_CONVOLUTIONS} convolutions, not {self.encoder}, {self.decoder}")
        return self


class SegmenterConfig(BaseModel):
    """Architecture of a segmenter; fixed at the first step of a model."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    network: str
    """Registered name of the trunk, for example ``unet2d``."""
    channels: int = 1
    """Channels of the image."""
    widths: tuple[int, ...] = (64, 128, 256, 512, 1024)
    """Filters per level, finest first; the last is the coarsest."""
    dropout: float = 0.5
    """Probability that a channel is dropped where the trunk and deep heads have dropout."""
    norm_momentum: float = 0.1
    """Weight of the newest batch in the running statistics of batch normalisation."""
    output: str = "heads"
    """Form of the output."""
    head_depth: int = 0
    """3x3 convolution blocks in each head before its 1x1 convolution."""
    head_norm: bool = False
    """Batch normalisation on each head's logits."""
    mask_prior: MaskPrior = "stick_breaking"
    """Prior of the kernel masks; for Bayesian trunks."""
    topology: SerializeAsAny[NetworkForm] | None = None
    """Form of a network of nnU-Net or MONAI; ``None`` where the network's name and the widths say all."""

    @field_validator("topology", mode="before")
    @classmethod
    def _of_its_network(cls, value: object, info: ValidationInfo) -> object:
        """Read a form as the class that the network has for it."""
        if value is None or isinstance(value, NetworkForm):
            return value
        form: type[NetworkForm] | None = find("network", info.data.get("network", "")).Form
        if form is None:
            raise ValueError("the network has no form of its own")
        return form.model_validate(value)

    @property
    def multiple(self) -> int:
        """Sizes that the network can take are multiples of this, along every axis."""
        return int(2 ** (len(self.widths) - 1)) if self.topology is None else math.lcm(*self.multiples)

    @property
    def multiples(self) -> tuple[int, ...]:
        """The same for each axis of a network with a form of its own; empty for others."""
        return () if self.topology is None else self.topology.multiples


class BranchConfig(BaseModel):
    """Architecture of a branch; fixed by the step that grows it."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    kind: str
    """Registered name, for example ``decoder``."""
    trunk: int = Field(ge=0)
    """Number of the trunk whose first half it shares."""
    options: dict[str, int | float] = {}
    """Options of this kind of branch."""
