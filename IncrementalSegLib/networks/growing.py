"""The contract of an output: it grows by one part per structure, and old parts stay as they are."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor, nn

from IncrementalSegLib.errors import ModelError
from IncrementalSegLib.networks.output import Features
from IncrementalSegLib.types import Json, StructureId


class GrowingOutput(nn.Module):
    """Base of all outputs; registered by ``@register("output", name)``, built from a ``SegmenterConfig``.

    Attributes:
        exclusive: At most one structure can lie at a voxel.
        most: Largest number of structures, or ``None`` for any number.
    """

    exclusive: ClassVar[bool]
    most: ClassVar[int | None] = None

    @classmethod
    def require_room(cls, count: int) -> None:
        """Refuse more structures than the output can hold.

        Raises:
            ModelError: There are too many.
        """
        if cls.most is not None and count > cls.most:
            raise ModelError(
                f"The model would know {count} structures, and its network has room for {cls.most}.",
                "Its form does not grow with them.",
                "Remove a structure, or start another model.",
            )

    @abstractmethod
    def add(self, structure: StructureId, channels: int) -> None:
        """Add a freshly initialised part on ``channels`` decoder features."""

    @abstractmethod
    def remove(self, structure: StructureId) -> None:
        """Remove one part."""

    @abstractmethod
    def part(self, structure: StructureId) -> nn.Module:
        """Return the module that belongs to one structure alone."""

    def arrangement(self) -> Json:
        """Return by structure what rebuilds the output beside its weights; usually nothing."""
        return {}

    def arrange(self, arrangement: Json) -> None:
        """Apply :meth:`arrangement` to an output with the same structures."""

    def fault(self) -> str:
        """Return what is wrong with weights that came from elsewhere, beside their shapes; usually nothing."""
        return ""

    @abstractmethod
    def forward(self, features: Features, structures: Sequence[StructureId]) -> Tensor:
        """Return logits in the form of this output for what one trunk saw.

        Where structures overlap only those asked for are scored; where they exclude each other all are,
        because each one's probability depends on all.
        """

    @abstractmethod
    def probabilities(self, logits: Tensor, structures: Sequence[StructureId]) -> Tensor:
        """Return the probability ``(B, K, *S)`` of each of the ``structures`` asked for, in float32."""
