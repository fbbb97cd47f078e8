"""The scans in the slice views, and how a scan is brought into them."""

from __future__ import annotations

import slicer

SCAN = "vtkMRMLScalarVolumeNode"
"""Class of what can be segmented; label maps and colour pictures are of others."""


def sceneBusy() -> bool:
    """Return whether a scene is being loaded or closed, or many nodes are changed: nobody has chosen what is shown."""
    scene = slicer.mrmlScene
    return scene.IsImporting() or scene.IsClosing() or scene.IsRestoring() or scene.IsBatchProcessing()


def shownIds() -> list[str]:
    """Return the ids of the volumes in the slice views of the layout, those behind before those in front."""
    views = _views()
    ids = [view.GetBackgroundVolumeID() for view in views] + [view.GetForegroundVolumeID() for view in views]
    return [found for found in dict.fromkeys(ids) if found]


def scans() -> list[slicer.vtkMRMLScalarVolumeNode]:
    """Return what can be segmented, in the order of the scene."""
    nodes = slicer.util.getNodesByClass(SCAN)
    return [node for node in nodes if node.GetClassName() == SCAN and not node.GetHideFromEditors()]


def shownScan() -> slicer.vtkMRMLScalarVolumeNode | None:
    """Return the scan behind in the slice views, else the one that was loaded last; ``None`` where there is none."""
    ids = [view.GetBackgroundVolumeID() for view in _views()]
    ids += [node.GetActiveVolumeID() for node in slicer.util.getNodesByClass("vtkMRMLSelectionNode")]
    nodes = [slicer.mrmlScene.GetNodeByID(found) for found in ids if found]
    return next(
        (node for node in nodes if node and node.GetClassName() == SCAN and not node.GetHideFromEditors()), None
    )


def showScan(volumeNode: slicer.vtkMRMLVolumeNode) -> list[str]:
    """Show a scan in all slice views; where it is behind already, the view stays as a person has arranged it.

    What was in front, or as labels, belongs to the scan that was shown before and is taken away with it.

    Returns:
        The names of the views that look past the scan and have to be fitted to it.
    """
    past = []
    for view in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
        if view.GetBackgroundVolumeID() == volumeNode.GetID():
            continue
        view.SetBackgroundVolumeID(volumeNode.GetID())
        view.SetForegroundVolumeID(None)
        view.SetLabelVolumeID(None)
        if not _looksAt(view.GetLayoutName(), volumeNode):
            past.append(view.GetLayoutName())
    return past


def _looksAt(name: str, volumeNode: slicer.vtkMRMLVolumeNode) -> bool:
    """Return whether the middle of a slice view lies inside a scan."""
    bounds = [0.0] * 6
    volumeNode.GetRASBounds(bounds)
    for node in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
        if node.GetLayoutName() == name:
            x, y, _z = node.GetXYZOrigin()
            middle = node.GetSliceToRAS().MultiplyPoint((x, y, 0.0, 1.0))[:3]
            return all(low <= at <= high for low, at, high in zip(bounds[::2], middle, bounds[1::2], strict=True))
    return False


def _views() -> list[slicer.vtkMRMLSliceCompositeNode]:
    """Return the slice views of the layout; all that there are where no layout says which."""
    nodes = slicer.util.getNodesByClass("vtkMRMLSliceNode")
    mapped = {node.GetLayoutName() for node in nodes if node.IsMappedInLayout()}
    views = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
    return [view for view in views if view.GetLayoutName() in mapped] or views
