"""The sample: made-up scans of six shoulders that come with the module, five of them with outlines."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import slicer
from slicer.i18n import tr as _

from IncrementalSegPanel.scene.Exports import atOnce
from IncrementalSegPanel.scene.Hierarchy import putBeside

FOLDER = Path(__file__).resolve().parents[2] / "Resources" / "SampleData"
PICTURE = FOLDER.parent / "Icons" / "Shoulder.png"

NAME = "IncrementalSegShoulder"
"""Name of the sample in the module Sample Data."""

SCAN, OUTLINES = ".nrrd", ".seg.nrrd"


def register() -> None:
    """Offer the sample in Slicer's module Sample Data; to be called when Slicer has started."""
    import SampleData

    files = [path for pair in _pairs() for path in pair]
    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category="IncrementalSeg",
        sampleName=NAME,
        uris=[path.as_uri() for path in files],
        fileNames=[f"{NAME}-{path.name}" for path in files],
        nodeNames=[_title(path) for path in files],
        loadFileTypes=["SegmentationFile" if path.name.endswith(OUTLINES) else "VolumeFile" for path in files],
        thumbnailFileName=str(PICTURE),
        customDownloader=lambda _source: load(),
    )


def load() -> list[Any]:
    """Put the sample into the scene, unless it is there, and show the scan without outlines.

    Returns:
        The scans; the last one has no outlines.
    """
    return atOnce(loadPieces())


def loadPieces() -> Generator[float, None, list[Any]]:
    """Do the same, one file in each piece, and show the scan in the last one."""
    scans, pairs = [], _pairs()
    for number, (scanFile, *outlines) in enumerate(pairs, 1):
        scan = _find("vtkMRMLScalarVolumeNode", _title(scanFile))
        if scan is None:
            scan = slicer.modules.volumes.logic().AddArchetypeVolume(str(scanFile), _title(scanFile), 0)
            for path in outlines:
                yield (number - 0.5) / len(pairs)
                _loadOutlines(path, scan)
            yield number / len(pairs)
        scans.append(scan)
    selection = slicer.app.applicationLogic().GetSelectionNode()
    selection.SetActiveVolumeID(scans[-1].GetID())
    slicer.app.applicationLogic().PropagateVolumeSelection()
    yield 1.0
    return scans


def _pairs() -> list[list[Path]]:
    """Return the file of each scan, followed by that of its outlines where there is one."""
    files = sorted(FOLDER.glob(f"*{SCAN}"))
    outlines = {path.name.removesuffix(OUTLINES): path for path in files if path.name.endswith(OUTLINES)}
    scans = [path for path in files if not path.name.endswith(OUTLINES)]
    return [[path, outlines[path.stem]] if path.stem in outlines else [path] for path in scans]


def _title(path: Path) -> str:
    number = path.name.partition(".")[0].removeprefix("Shoulder")
    scan = _("Shoulder {number}").format(number=number)
    return _("{scan} outlines").format(scan=scan) if path.name.endswith(OUTLINES) else scan


def _find(kind: str, name: str) -> Any:
    return next((node for node in slicer.util.getNodesByClass(kind) if node.GetName() == name), None)


def _loadOutlines(path: Path, scan: Any) -> None:
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", _title(path))
    putBeside(node, scan)
    storage = slicer.vtkMRMLSegmentationStorageNode()  # not of the scene, so that nothing is ever saved over the sample
    storage.SetFileName(str(path))
    storage.ReadData(node)
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().SetVisibility(False)  # all would be seen over whichever scan is shown
    node.SetReferenceImageGeometryParameterFromVolumeNode(scan)
