"""The contract of a trunk whose second half can be made alone, and of that half."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

from torch import Tensor, nn

from IncrementalSegLib.networks.config import SegmenterConfig
from IncrementalSegLib.networks.output import Features
from IncrementalSegLib.types import Dimension


class SecondHalf(nn.Module):
    """Base of second halves.

    Attributes:
        decoder_channels: Channels of the last map.
    """

    decoder_channels: int

    @abstractmethod
    def decode(self, encoded: Any) -> Features:
        """Return the features for the maps of a first half."""


class HalvedTrunk(SecondHalf):
    """Base of the trunks that can carry branches.

    Attributes:
        config: What it was made with.
        dimension: Spatial axes, 2 or 3.
        random_encoder: Whether two random passes differ before :meth:`decode`.
    """

    dimension: ClassVar[Dimension]
    random_encoder: ClassVar[bool] = False
    config: SegmenterConfig

    @abstractmethod
    def encode(self, image: Tensor) -> Any:
        """Run the first half on ``(B, C, *S)``."""

    @abstractmethod
    def second_half(self, widths: Sequence[int]) -> SecondHalf:
        """Return a freshly initialised second half for the maps of this network's first half.

        Args:
            widths: Filters per level, finest first.
        """
