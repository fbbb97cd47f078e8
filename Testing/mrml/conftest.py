"""Tests of the scene run in the stand-in's application; see Testing/standin/README.md."""

import sys
import time
from collections import deque
from pathlib import Path

import pytest

TESTING = Path(__file__).resolve().parents[1]
for folder in (TESTING, TESTING.parent / "IncrementalSeg"):
    if str(folder) not in sys.path:
        sys.path.append(str(folder))

from standin.boot import boot  # noqa: E402

if boot():
    from mrml.segmented import application, bridge, scan  # noqa: F401
    from standin.fixtures import cleanScene, mainWindow, person, slotErrors, vtkErrors  # noqa: F401


class Queue(deque):
    """Does later what is put in, when it is run."""

    def __call__(self, act):
        self.append(act)

    def run(self):
        while self:
            self.popleft()()


@pytest.fixture
def defer():
    return Queue()


@pytest.fixture
def olderThanSlicer(monkeypatch):
    """Return a function that makes a file one that was there before Slicer started."""
    from IncrementalSegPanel.scene import ScanFiles
    from standin.events import wait

    def act(path):
        wait(lambda: time.time() > path.stat().st_ctime + 0.02)
        monkeypatch.setattr(ScanFiles, "STARTED", time.time())
        return path

    return act
