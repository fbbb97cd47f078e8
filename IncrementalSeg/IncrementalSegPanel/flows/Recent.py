"""The models that were opened before, remembered between two starts of Slicer."""

from __future__ import annotations

from pathlib import Path

from IncrementalSegPanel.Protocols import Settings

_KEY = "IncrementalSeg/recentModels"
_MOST = 8


class Recent:
    """Folders of models, the last one first.

    Args:
        settings: Where they are remembered.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @property
    def folders(self) -> list[Path]:
        """All of them, also those that are not there any more."""
        lines = str(self._settings.value(_KEY, "") or "").splitlines()
        return [Path(line) for line in lines if line]

    def add(self, folder: Path) -> None:
        """Put a model first."""
        paths = [folder, *(path for path in self.folders if path != folder)]
        self._settings.setValue(_KEY, "\n".join(str(path) for path in paths[:_MOST]))
