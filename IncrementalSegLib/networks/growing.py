"""The contract of an output: it grows by one part per structure, and old parts stay as they are."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor, nn

from IncrementalSegLib.types import StructureId


class GrowingOutput(nn.Module):
    """Base of all outputs; registered by ``@register("output", name)``, built from a ``SegmenterConfig``.

    Attributes:
        exclusive: At most one structure can lie at a voxel.
    """

    exclusive: ClassVar[bool]

    @abstractmethod
    def add(self, structure: StructureId, channels: int) -> None:
        """Add a freshly initialised part on ``channels`` decoder features."""

    @abstractmethod
    def remove(self, structure: StructureId) -> None:
        """Remove one part."""

    @abstractmethod
    def part(self, structure: StructureId) -> nn.Module:
        """Return the module that belongs to one structure alone."""

    @abstractmethod
    def forward(self, features: Tensor, structures: Sequence[StructureId]) -> Tensor:
        """Return logits of ``structures`` for features ``(B, F, *S)``, in the form of this output."""

    @abstractmethod
    def probabilities(self, logits: Tensor) -> Tensor:
        """Return the foreground probability ``(B, K, *S)`` of each structure, in float32."""
