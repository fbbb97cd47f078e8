"""The outlines of a scan under correction: those before any stroke, then those of each round."""

from __future__ import annotations

from pathlib import Path


class OutlineHistory:
    """Outlines to which *Undo* can go back."""

    def __init__(self) -> None:
        self._items: list[tuple[Path | None, bool]] = []

    @property
    def rounds(self) -> int:
        """Number of rounds."""
        return max(0, len(self._items) - 1)

    @property
    def current(self) -> Path | None:
        """File of the outlines after the last round; ``None`` where they have to be made anew."""
        return self._items[-1][0] if self._items else None

    @property
    def learned(self) -> bool:
        """True if the model learned in the last round."""
        return bool(self._items) and self._items[-1][1]

    def begin(self, path: Path) -> None:
        """Note the outlines before any stroke."""
        self._items = [(path, False)]

    def add(self, path: Path, learned: bool) -> None:
        """Note a round; the outlines before the first one need not be known."""
        self._items = [*(self._items or [(None, False)]), (path, learned)]

    def back(self) -> None:
        """Forget the last round."""
        self._items = self._items[:-1] if self.rounds else []

    def forget(self) -> None:
        """Forget all."""
        self._items = []
