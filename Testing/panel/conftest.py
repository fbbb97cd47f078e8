"""Tests of the panel run in the stand-in's application; see Testing/standin/README.md."""

import sys
from pathlib import Path

TESTING = Path(__file__).resolve().parents[1]
for folder in (TESTING, TESTING.parent / "IncrementalSeg"):
    if str(folder) not in sys.path:
        sys.path.append(str(folder))

from standin.boot import boot  # noqa: E402

if boot():
    from panel.shoulders import panel, ready, session  # noqa: F401
    from standin.fixtures import cleanScene, mainWindow, person, slotErrors, vtkErrors  # noqa: F401
