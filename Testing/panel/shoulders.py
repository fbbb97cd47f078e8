"""A panel with a model, a scan and a worker that says what a test tells it to, and what a person does with it."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import qt
import slicer
from IncrementalSegPanel.Panel import Panel
from IncrementalSegPanel.Parameters import IncrementalSegParameterNode
from IncrementalSegPanel.scene.SceneBridge import SceneBridge
from phantom_scene import add_shoulder
from scripted_worker import open_model, session_in

BONE = "context~SCT^1^Anatomical Structure~SCT^2^{}~SCT^3^Left~~^^~^^"
SMALL = (4, 16, 16)
NAMES = ("humerus", "scapula", "deltoid")
IDS = {name: f"{number:032x}" for number, name in enumerate(NAMES, 10)}


def summary(**changes):
    """Return a summary of three structures in two groups, one of them without score."""
    return {
        "name": "Shoulder MR",
        "current": 3,
        "version": 3,
        "created": "2026-11-03T10:00:00+00:00",
        "candidates": [],
        "unfinished": None,
        "structures": [
            {
                "id": IDS[name],
                "name": name,
                "step": 1,
                "color": [200, 40 * place, 90],
                "terminology": BONE.format(name.title()) if name != "deltoid" else None,
                "dice": 0.91 if name != "deltoid" else None,
                "scans": 4 if name != "deltoid" else 0,
                "taught": "2026-10-01T08:00:00+00:00",
            }
            for place, name in enumerate(NAMES)
        ],
    } | changes


@pytest.fixture
def session(tmp_path):
    """Return a session with the real bridge, parameters in the scene, and a worker that says what it is told to."""
    found = session_in(tmp_path, SceneBridge())
    found.parameters = IncrementalSegParameterNode(slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode"))
    return found


@pytest.fixture
def panel(session):
    """Yield a panel that has been entered."""
    found = Panel(session, settle=0.0)
    found.enter()
    yield found
    host = qt.QWidget()
    found.widget.setParent(host)  # in Slicer a layout owns it
    found.close()


@pytest.fixture
def ready(session, panel, tmp_path):
    """Open a model of three structures and choose a scan."""
    scan, _outlines = add_shoulder("MR 12", 1, {"humerus": "humerus"}, SMALL)
    session.model, session.folder = open_model(summary()), tmp_path / "models" / "Shoulder MR"
    session.home()
    panel.render()
    session.segmenting.chooseVolume(scan)
    panel.render()
    return SimpleNamespace(session=session, panel=panel, page=panel.page, ui=panel.page.ui, scan=scan)


def begin(ready):
    ready.ui.segmentButton.click()
    ready.session.defer.run()
    ready.panel.render()
    return ready.session.worker.last("segment")


def result(ready, found, voxels=None):
    """Let the worker finish with a real segmentation file."""
    from IncrementalSegLib.structures import Structure, StructureList
    from IncrementalSegLib.volumes.io import read_volume
    from IncrementalSegLib.volumes.seg_nrrd import write_seg_nrrd

    asked = ready.session.worker.last("segment")
    grid = read_volume([Path(asked.arguments["scans"])]).grid
    chosen = [Structure.from_json(item) for item in summary()["structures"]]
    voxels = slicer.util.array(ready.scan.GetID()) if voxels is None else voxels
    masks = {item.id: voxels > 500 for item in chosen}
    output = Path(asked.arguments["output"])
    output.mkdir()
    write_seg_nrrd(output / "scan.seg.nrrd", masks, grid, StructureList(tuple(chosen)))
    millilitres = {item.name: {"ml": found.get(item.name, 0.0)} for item in chosen}
    files = [str(output / "scan.seg.nrrd")]
    asked.finish(outputs=files, scans=["scan"], structures=millilitres, warnings=[], failed=[])
    ready.session.defer.run()


def choose(combo, text):
    """Choose an entry as a person does."""
    combo.setCurrentIndex(combo.findText(text))
    combo.activated.emit(combo.currentIndex)
