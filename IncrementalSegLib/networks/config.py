"""Configuration of a segmenter."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

MaskPrior = Literal["stick_breaking", "beta_bernoulli"]
"""Prior of the kernel masks of a Bayesian trunk: whether they depend on each other."""


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


class BranchConfig(BaseModel):
    """Architecture of a branch; fixed by the step that grows it."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    kind: str
    """Registered name, for example ``decoder``."""
    trunk: int = Field(ge=0)
    """Number of the trunk whose first half it shares."""
    options: dict[str, int | float] = {}
    """Options of this kind of branch."""
