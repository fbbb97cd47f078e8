"""The contract of a branch: a second half of its own on the first half of a trunk, which it shares with others."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, ValidationError
from torch import Tensor, nn

from IncrementalSegLib.errors import ModelError
from IncrementalSegLib.networks.config import BranchConfig
from IncrementalSegLib.networks.halved import HalvedTrunk, SecondHalf
from IncrementalSegLib.networks.output import Features
from IncrementalSegLib.registry import find
from IncrementalSegLib.types import Dimension


class BranchOptions(BaseModel):
    """Base of the options of a branch."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Branch(nn.Module):
    """Base of all branches; registered by ``@register("branch", name)``.

    The weights of the trunk belong to the trunk alone: they are neither among the parameters of a branch nor in its
    state.

    Args:
        trunk: The trunk whose first half is shared.
        options: Of this kind of branch.

    Attributes:
        Options: Class of the options.
        dimension: Spatial axes, 2 or 3.
        random_encoder: Whether the first half is random; it is not.
        decoder_channels: Channels of the last decoder map.
        second: The second half; ``decode`` is all that is used of it.
    """

    Options: ClassVar[type[BranchOptions]]
    random_encoder: ClassVar[bool] = False

    def __init__(self, trunk: HalvedTrunk, options: Mapping[str, Any]) -> None:
        super().__init__()
        self._trunk = (trunk,)  # a tuple hides it from torch
        self.second = self.second_half(trunk, self.Options.model_validate(dict(options)))
        self.dimension: Dimension = trunk.dimension
        self.decoder_channels = self.second.decoder_channels

    @abstractmethod
    def second_half(self, trunk: HalvedTrunk, options: Any) -> SecondHalf:
        """Return the second half, freshly initialised."""

    def encode(self, image: Tensor) -> Any:
        """Run the first half of the trunk on ``(B, C, *S)``."""
        return self._trunk[0].encode(image)

    def decode(self, encoded: Any) -> Features:
        """Run the second half of the branch."""
        return self.second.decode(encoded)

    def forward(self, image: Tensor) -> Features:
        """Return the features of ``(B, C, *S)``."""
        return self.decode(self.encode(image))


def grow_branch(trunks: nn.ModuleList, config: BranchConfig) -> Branch:
    """Return a freshly initialised branch of one of several trunks.

    Raises:
        UnknownNameError: There is no such kind of branch.
        ModelError: There is no such trunk, it cannot carry a branch, or the options do not fit.
    """
    kind: type[Branch] = find("branch", config.kind)
    trunk = trunks[config.trunk] if config.trunk < len(trunks) else None
    if not isinstance(trunk, HalvedTrunk) or trunk.random_encoder:
        raise ModelError(
            f"A branch {config.kind} cannot grow on trunk {config.trunk} of this network.",
            "Only U-Nets whose first half is not random carry branches, and no branch carries another one.",
            "Choose another method, such as separate or lwfseg.",
        )
    try:
        return kind(trunk, config.options)
    except ValidationError as error:
        first = error.errors()[0]
        raise ModelError(
            f"A branch {config.kind} has no option {'.'.join(map(str, first['loc']))!r} of this value: {first['msg']}."
        ) from error
