"""The place of a segmentation in the subject hierarchy."""

from __future__ import annotations

import slicer


def putBeside(node: slicer.vtkMRMLSegmentationNode, volumeNode: slicer.vtkMRMLVolumeNode) -> None:
    """Put a segmentation beside its scan; to be called before it has segments, which need an item to hang below."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    theirs, ours = hierarchy.GetItemByDataNode(volumeNode), hierarchy.GetItemByDataNode(node)
    parent = hierarchy.GetItemParent(theirs) if theirs else hierarchy.GetSceneItemID()
    if ours:
        hierarchy.SetItemParent(ours, parent)
    else:
        hierarchy.CreateItem(parent, node)
