"""A scan in the scene, results of a model for it, and what a person draws."""

from collections import deque
from contextlib import contextmanager

import numpy as np
import pytest
import slicer
from IncrementalSegPanel.scene.Application import Application
from IncrementalSegPanel.scene.SceneBridge import SceneBridge

from IncrementalSegLib.structures import Structure
from IncrementalSegLib.volumes.io import read_volume
from IncrementalSegLib.volumes.seg_nrrd import write_seg_nrrd

STRUCTURES = [Structure.create(name, 1) for name in ("left kidney", "tumour", "spleen")]
KIDNEY, TUMOUR, SPLEEN = STRUCTURES
SHAPE = (8, 9, 10)


class Recorder(Application):
    """Notes what the bridge asks for."""

    def __init__(self):
        self.saved, self.paused, self.opened = [], 0, []

    @contextmanager
    def pausedRendering(self):
        self.paused += 1
        yield

    def saveUndoState(self, segmentationNode):
        ids = segmentationNode.GetSegmentation().GetSegmentIDs()
        self.saved.append((segmentationNode.GetID(), {found: voxels(segmentationNode, found).sum() for found in ids}))

    def openSegmentEditor(self, *nodes):
        self.opened.append(nodes)


@pytest.fixture
def application():
    return Recorder()


@pytest.fixture
def bridge(application):
    return SceneBridge(application)


@pytest.fixture
def scan():
    matrix = np.array([[0, -1.5, 0, 4], [0.5, 0, 0, -3], [0, 0, 3.0, 2], [0, 0, 0, 1]])
    array = np.random.default_rng(0).integers(0, 100, SHAPE).astype(np.int16)
    return slicer.util.addVolumeFromArray(array, ijkToRAS=matrix, name="Abdomen")


def undo(bridge):
    """Take back what was shown last, and return what came of it and how many turns of the main thread it took."""
    waiting, turns = deque(), 1
    work = bridge.undoSegmentation(waiting.append)
    while waiting:
        waiting.popleft()()
        turns += 1
    assert work.error is None
    return work.result, turns


def masks(shift=0):
    found = {structure.id: np.zeros(SHAPE, bool) for structure in STRUCTURES}
    found[KIDNEY.id][1:5, 1:5, 1 + shift : 6 + shift] = True
    found[TUMOUR.id][2:4, 2:4, 2:4] = True  # inside the kidney
    found[SPLEEN.id][6:8, 5:9, 2 : 5 + shift] = True
    return found


def written(tmp_path, bridge, scan, shift=0, structures=STRUCTURES):
    """Write a result as the worker does: on the grid of the scan that it was given."""
    export = bridge.exportVolume(scan, tmp_path, lambda act: act())
    path = tmp_path / "scan.seg.nrrd"
    write_seg_nrrd(path, masks(shift), read_volume(export.path).grid, structures)
    return path


def voxels(node, segmentId, scan=None):
    scan = scan or node.GetNodeReference(node.GetReferenceImageGeometryReferenceRole())
    return slicer.util.arrayFromSegmentBinaryLabelmap(node, segmentId, scan).astype(bool)


def content(node):
    """Return everything of a segmentation that a person sees."""
    segmentation = node.GetSegmentation()
    found = {}
    for segmentId in segmentation.GetSegmentIDs():
        segment = segmentation.GetSegment(segmentId)
        found[segmentId] = (
            segment.GetName(),
            segment.GetColor(),
            segment.GetTerminology(),
            voxels(node, segmentId).tobytes(),
        )
    return found


def draw(node, segmentId, where=(slice(7, 8), slice(0, 2), slice(0, 2)), status=True):
    array = voxels(node, segmentId)
    array[where] = True
    scan = node.GetNodeReference(node.GetReferenceImageGeometryReferenceRole())
    slicer.util.updateSegmentBinaryLabelmapFromArray(array.astype(np.uint8), node, segmentId, scan)
    if status:  # as the Segment Editor does
        logic = slicer.vtkSlicerSegmentationsModuleLogic
        logic.SetSegmentStatus(node.GetSegmentation().GetSegment(segmentId), logic.InProgress)
    return array
