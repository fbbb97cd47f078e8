"""Passes over units that several processes share out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

from numpy.typing import NDArray

T = TypeVar("T")


class Together(Protocol):
    """Interface of the processes of a step (this folder does not import the engine)."""

    def own(self, items: Sequence[T]) -> list[T]:
        """Return the items that this process works on."""

    def arrays(self, own: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        """Return what all processes made of their items, in the order of the whole list."""


class Alone:
    """One process, which works on everything."""

    def own(self, items: Sequence[T]) -> list[T]:
        """Return all items."""
        return list(items)

    def arrays(self, own: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        """Return what was made."""
        return list(own)


ALONE: Together = Alone()
