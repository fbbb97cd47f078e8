"""The contract of an output: it grows by one part per structure, and old parts stay as they are."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from IncrementalSegLib.errors import ModelError
from IncrementalSegLib.networks.output import Features
from IncrementalSegLib.types import Json, StructureId


class GrowingOutput(nn.Module):
    """Base of all outputs; registered by ``@register("output", name)``, built from a ``SegmenterConfig``.

    Attributes:
        exclusive: The structures that are added exclude each other: at most one lies at a voxel.
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

    def add_apart(self, structure: StructureId, channels: int) -> None:
        """Add a part that excludes no other structure.

        Raises:
            ModelError: This output has none.
        """
        if self.exclusive:
            raise ModelError("No structure of this model can have an output of its own.")
        self.add(structure, channels)

    def excludes(self, structure: StructureId) -> bool:
        """Return whether a structure is one of those that exclude each other."""
        return self.exclusive

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

    def settle(self) -> None:
        """Compute once what depends on weights alone, which do not change any more; usually nothing does."""

    @abstractmethod
    def forward(self, features: Features, structures: Sequence[StructureId]) -> Tensor:
        """Return logits in the form of this output for what one trunk saw.

        Of structures that overlap only those asked for are scored; of those that exclude each other all are, where one
        is asked for, because each one's probability depends on all.
        """

    def merged(
        self, parts: Sequence[tuple[Sequence[StructureId], Tensor]], structures: Sequence[StructureId]
    ) -> Tensor:
        """Return the logits of ``structures`` from those of several trunks.

        Args:
            parts: The structures that a trunk serves, and what :meth:`forward` gave for them.
            structures: All of them, in the order wanted.
        """
        columns = {
            item: column
            for served, logits in parts
            for item, column in zip(served, logits.split(1, dim=1), strict=True)
        }
        return torch.cat([columns[item] for item in structures], dim=1)

    @abstractmethod
    def probabilities(self, logits: Tensor, structures: Sequence[StructureId]) -> Tensor:
        """Return the probability ``(B, K, *S)`` of each of the ``structures`` asked for, in float32."""
