"""Ask for a file or folder, where somebody is there to answer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from IncrementalSegPanel.flows.Opening import PACKAGE


def modelFolder() -> Path | None:
    """Ask for the folder of a model."""
    return _asked(lambda window: qt.QFileDialog.getExistingDirectory(window, _("Open a model")))


def packageToRead() -> Path | None:
    """Ask for a package."""
    filters = _("Packages") + f" (*{PACKAGE})"
    return _asked(lambda window: qt.QFileDialog.getOpenFileName(window, _("Import a package"), "", filters))


def packageToWrite(name: str) -> Path | None:
    """Ask where to write a package."""
    filters = _("Packages") + f" (*{PACKAGE})"
    return _asked(lambda window: qt.QFileDialog.getSaveFileName(window, _("Export a package"), name + PACKAGE, filters))


def _asked(ask: Callable[[Any], str]) -> Path | None:
    """Return what a person answered; ``None`` where they cancelled or nobody is there."""
    window = slicer.util.mainWindow()
    if window is None or slicer.app.testingEnabled():
        return None
    answer = ask(window)
    return Path(answer) if answer else None
