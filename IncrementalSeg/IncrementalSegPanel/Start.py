"""Where the parts of the panel are put together: the worker, the bridge, what is remembered, and the session."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import qt
import slicer

from IncrementalSegPanel.environment.Installer import Installer
from IncrementalSegPanel.Folders import Folders
from IncrementalSegPanel.Protocols import Settings
from IncrementalSegPanel.scene.SceneBridge import SceneBridge
from IncrementalSegPanel.Session import Session
from IncrementalSegPanel.Worker import Worker

MODELS = "IncrementalSeg/models"
"""Setting: the folder in which new models are kept."""


@dataclass(frozen=True)
class Tools:
    """Tools of the panel and of scripts.

    Attributes:
        worker: The process that computes; it is started when it is first needed.
        bridge: The only writer to the scene.
        settings: Settings that last from one start to the next.
        folders: Folders.
    """

    worker: Worker
    bridge: SceneBridge
    settings: Settings
    folders: Folders

    def close(self) -> None:
        """End the worker, which pauses what it does, and remove the files of this run; may be called again."""
        self.worker.shutdown()
        shutil.rmtree(self.folders.temporary, ignore_errors=True)


def defer(act: Callable[[], None]) -> None:
    """Do something when the main thread has answered everything else."""
    qt.QTimer.singleShot(0, act)


def makeTools() -> Tools:
    """Make the tools; nothing is started, and nothing is written but an empty folder for this run."""
    settings = slicer.app.userSettings()
    documents = qt.QStandardPaths.writableLocation(qt.QStandardPaths.DocumentsLocation)
    models = settings.value(MODELS, "") or str(Path(documents) / "IncrementalSeg")
    Path(slicer.app.temporaryPath).mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix="IncrementalSeg-", dir=slicer.app.temporaryPath))
    tools = Tools(Worker(temporary / "worker.log"), SceneBridge(), settings, Folders(Path(models), temporary))
    slicer.app.connect("aboutToQuit()", tools.close)
    return tools


def makeSession(tools: Tools) -> Session:
    """Make the session of a panel."""
    session = Session(tools.worker, tools.bridge, tools.settings, tools.folders, defer)
    session.installing.installer = Installer()
    return session
