"""A decoder of its own, narrower than that of the trunk.

In Continual Segment (Ji et al., ICCV 2023) the encoder is frozen and each step has a decoder, which is pruned after
training.  Our own choice: decoders are narrow from the beginning, and each has a coarsest level of its own.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from IncrementalSegLib.networks.branching import Branch, BranchOptions
from IncrementalSegLib.networks.halved import HalvedTrunk, SecondHalf
from IncrementalSegLib.registry import register

LEAST = 4
"""Filters that a level has at least."""


Width = Annotated[float, Field(gt=0, le=1)]
"""Filters of each level relative to the trunk's."""


@register("branch", "decoder")
class Decoder(Branch):
    """The coarsest level and the decoder of the trunk, freshly initialised with fewer filters."""

    class Options(BranchOptions):
        """Options of a decoder."""

        width: Width

    def second_half(self, trunk: HalvedTrunk, options: Options) -> SecondHalf:
        """Return the narrow decoder."""
        return trunk.second_half(
            [max(min(LEAST, width), round(width * options.width)) for width in trunk.config.widths]
        )
