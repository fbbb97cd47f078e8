"""Ask for a file or folder, where somebody is there to answer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from IncrementalSegPanel.flows.Opening import PACKAGE


def modelFolder(models: Path) -> Path | None:
    """Ask for the folder of a model; the question begins in the folder of models."""
    return _asked(lambda window: qt.QFileDialog.getExistingDirectory(window, _("Open a model"), str(models)))


def trainedFolder(models: Path) -> Path | None:
    """Ask for a folder of another program; the question begins in the folder that holds the models folder."""
    title, start = _("Adopt a model of nnU-Net, TotalSegmentator or MONAI"), str(models.parent)
    return _asked(lambda window: qt.QFileDialog.getExistingDirectory(window, title, start))


def packageToRead(models: Path) -> Path | None:
    """Ask for a package, beginning in the folder that holds the models folder."""
    start, filters = str(models.parent), _("Packages") + f" (*{PACKAGE})"
    return _asked(lambda window: qt.QFileDialog.getOpenFileName(window, _("Import a package"), start, filters))


def packageToWrite(models: Path, name: str) -> Path | None:
    """Ask where to write a package, beginning in the folder that holds the models folder."""
    start, filters = str(models.parent / (name + PACKAGE)), _("Packages") + f" (*{PACKAGE})"
    return _asked(lambda window: qt.QFileDialog.getSaveFileName(window, _("Export a package"), start, filters))


def _asked(ask: Callable[[Any], str]) -> Path | None:
    """Return what a person answered; ``None`` where they cancelled or nobody is there."""
    window = slicer.util.mainWindow()
    if window is None or slicer.app.testingEnabled():
        return None
    answer = ask(window)
    return Path(answer) if answer else None
