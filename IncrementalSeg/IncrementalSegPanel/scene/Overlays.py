"""A map of uncertainty or similarity over a scan in the slice views, and what was shown there before."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import slicer

from IncrementalSegPanel.scene.Geometry import parentToWorld
from IncrementalSegPanel.scene.ResultFiles import Map

OPACITY = 0.4
LOWEST = 0.05
"""Values below this are not drawn."""

_COLORS = ("vtkMRMLColorTableNodeFileInferno.txt", "vtkMRMLColorTableNodefMRI")


@dataclass(frozen=True)
class Shown:
    """The layers that a slice view showed.

    Attributes:
        view: Id of the slice composite node.
        background: Id of the volume behind, or ``None``.
        foreground: Id of the volume in front, or ``None``.
        opacity: Opacity of the one in front, 0..1.
    """

    view: str
    background: str | None
    foreground: str | None
    opacity: float


def addMap(found: Map, volumeNode: slicer.vtkMRMLScalarVolumeNode, title: str) -> slicer.vtkMRMLScalarVolumeNode:
    """Add a map that lies on a scan; what is above 0 is drawn, up to 1.

    It is not saved with the scene, where nothing would take it away again.

    Args:
        found: The map.
        volumeNode: The scan.
        title: What the map shows.

    Raises:
        GeometryError: The scan is under a transform that bends space.
    """
    image, matrix = found
    local = np.linalg.inv(parentToWorld(volumeNode)) @ matrix
    name = f"{volumeNode.GetName()} {title}"
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    node.SetSaveWithScene(False)
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(local))
    node.SetAndObserveTransformNodeID(volumeNode.GetTransformNodeID())
    _paint(node)  # before there are voxels: no histogram of them is needed
    node.SetAndObserveImageData(image)
    return node


def show(node: slicer.vtkMRMLVolumeNode, volumeNode: slicer.vtkMRMLVolumeNode) -> list[Shown]:
    """Show one volume over another in all slice views.

    Returns:
        What the views showed.
    """
    before = []
    for view in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
        earlier = view.GetBackgroundVolumeID(), view.GetForegroundVolumeID(), view.GetForegroundOpacity()
        before.append(Shown(view.GetID(), *earlier))
        view.SetBackgroundVolumeID(volumeNode.GetID())
        view.SetForegroundVolumeID(node.GetID())
        view.SetForegroundOpacity(OPACITY)
    return before


def hide(nodeId: str, before: list[Shown]) -> None:
    """Show again what the slice views showed; a view that a person has changed since is left alone."""
    for shown in before:
        view = slicer.mrmlScene.GetNodeByID(shown.view)
        if view is not None and view.GetForegroundVolumeID() == nodeId:
            view.SetBackgroundVolumeID(shown.background)
            view.SetForegroundVolumeID(shown.foreground)
            view.SetForegroundOpacity(shown.opacity)
    node = slicer.mrmlScene.GetNodeByID(nodeId)
    if node is not None:
        slicer.mrmlScene.RemoveNode(node.GetDisplayNode())
        slicer.mrmlScene.RemoveNode(node)


def _paint(node: slicer.vtkMRMLScalarVolumeNode) -> None:
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetSaveWithScene(False)
    colors = next((found for found in _COLORS if slicer.mrmlScene.GetNodeByID(found) is not None), None)
    if colors is not None:
        display.SetAndObserveColorNodeID(colors)
    display.SetAutoWindowLevel(False)
    display.SetWindowLevelMinMax(0.0, 1.0)
    display.SetAutoThreshold(False)
    display.SetThreshold(LOWEST, 1.0)
    display.SetApplyThreshold(True)
