"""Scans in the scene, and segmentations that a person drew on them."""

import numpy as np
import slicer

SHAPE = (8, 30, 40)
MATRIX = np.array([[0, -1.5, 0, 4], [0.5, 0, 0, -3], [0, 0, 3.0, 2], [0, 0, 0, 1]])
BOX = (slice(2, 6), slice(5, 20), slice(8, 30))


def scan(name="Scan", shape=SHAPE, matrix=MATRIX):
    array = np.random.default_rng(0).integers(0, 100, shape).astype(np.int16)
    return slicer.util.addVolumeFromArray(array, ijkToRAS=matrix, name=name)


def segmentation(volume, name="Segmentation", **segments):
    """Add a segmentation of a scan with boxes by name; underscores of the names become spaces."""
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    for segment, box in segments.items():
        node.GetSegmentation().AddEmptySegment(segment, segment.replace("_", " "))
        mask = np.zeros(slicer.util.arrayFromVolume(volume).shape, np.uint8)
        mask[box] = 1
        if mask.any():
            slicer.util.updateSegmentBinaryLabelmapFromArray(mask, node, segment, volume)
    return node


def edit(node, segmentId):
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    logic.SetSegmentStatus(node.GetSegmentation().GetSegment(segmentId), logic.InProgress)


def said(bridge, name=None):
    return {example.name: " ".join((*example.hints, example.obstacle)).strip() for example in bridge.candidates(name)}
