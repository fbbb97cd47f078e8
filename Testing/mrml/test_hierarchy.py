"""A segmentation has its place in the subject hierarchy before it has segments."""

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed: pip install slicer-core")
vtk = pytest.importorskip("vtk")
from IncrementalSegPanel.scene import SampleData  # noqa: E402
from IncrementalSegPanel.scene.Results import createResult  # noqa: E402
from standin.hierarchy import tree  # noqa: E402


@pytest.fixture
def early():
    """Return the names of segmentations that had segments before they had an item, and without Slicer's own plugin."""
    found = []
    scene = slicer.mrmlScene

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def added(_scene, _event, node):
        if node.IsA("vtkMRMLSegmentationNode"):
            tree(scene).RemoveItem(tree(scene).GetItemByDataNode(node), False, False)
            node.AddObserver(slicer.vtkSegmentation.SegmentAdded, segment)

    def segment(node, _event):
        if not tree(scene).GetItemByDataNode(node):
            found.append(node.GetName())

    tag = scene.AddObserver(scene.NodeAddedEvent, added, -1000)
    yield found
    scene.RemoveObserver(tag)


def test_a_result_lies_beside_its_scan_before_it_has_segments(early):
    volume = slicer.util.addVolumeFromArray(np.zeros((2, 3, 4), np.int16), name="CT")
    folder = tree(slicer.mrmlScene).CreateFolderItem(tree(slicer.mrmlScene).GetSceneItemID(), "Study")
    tree(slicer.mrmlScene).SetItemParent(tree(slicer.mrmlScene).GetItemByDataNode(volume), folder)
    node = createResult(volume)
    node.GetSegmentation().AddEmptySegment("a")
    assert tree(slicer.mrmlScene).GetItemParent(tree(slicer.mrmlScene).GetItemByDataNode(node)) == folder
    assert early == []


def test_the_outlines_of_the_sample_have_items_before_segments(early):
    SampleData.load()
    assert len(slicer.util.getNodesByClass("vtkMRMLSegmentationNode")) == 5
    assert early == []
