"""The subject hierarchy's plugins, as far as they make items and complain; slicer-core has the bare tree."""

import vtk
from standin.qt import signals

_OF = ("vtkMRMLDisplayableNode", "vtkMRMLTableNode", "vtkMRMLPlotChartNode", "vtkMRMLTextNode")


def start(slicer):
    """Give each data node an item when it is added, or at the end of an import, and watch segmentations for theirs."""
    scene = slicer.mrmlScene
    scene.AddObserver(scene.NodeAddedEvent, _added)
    scene.AddObserver(scene.NodeAboutToBeRemovedEvent, _leaves)
    scene.AddObserver(
        scene.EndCloseEvent, lambda *_event: slicer.vtkMRMLSubjectHierarchyNode.ResolveSubjectHierarchy(scene)
    )
    scene.AddObserver(scene.EndImportEvent, lambda *_event: [_welcome(node) for node in _nodes(scene)])


def tree(scene):
    """Return the subject hierarchy of a scene."""
    import slicer

    return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)


@vtk.calldata_type(vtk.VTK_OBJECT)
def _added(scene, _event, node):
    if node.IsA("vtkMRMLSegmentationNode"):
        _watch(node)
    if not scene.IsImporting() and not node.GetHideFromEditors() and any(map(node.IsA, _OF)):
        _welcome(node)


@vtk.calldata_type(vtk.VTK_OBJECT)
def _leaves(scene, _event, node):
    if not scene.IsClosing() and not node.IsA("vtkMRMLSubjectHierarchyNode"):
        item = tree(scene).GetItemByDataNode(node)
        if item:
            tree(scene).RemoveItem(item, False, False)


def _nodes(scene):
    nodes = [scene.GetNthNode(index) for index in range(scene.GetNumberOfNodes())]
    return [node for node in nodes if not node.GetHideFromEditors() and any(map(node.IsA, _OF))]


def _welcome(node):
    hierarchy = tree(node.GetScene())
    if not hierarchy.GetItemByDataNode(node):
        hierarchy.CreateItem(hierarchy.GetSceneItemID(), node)


def _watch(node):
    """Complain, as Slicer's log does, when segments change of a segmentation that has no item yet."""
    import slicer

    kinds = slicer.vtkSegmentation
    for event in (kinds.SegmentAdded, kinds.SegmentRemoved, kinds.SegmentModified):
        node.AddObserver(event, _changed)


def _changed(node, _event):
    scene = node.GetScene()
    if scene is not None and not scene.IsImporting() and not tree(scene).GetItemByDataNode(node):
        signals.report(f"updateAllSegmentsFromMRML: no subject hierarchy item for segmentation {node.GetName()}")
