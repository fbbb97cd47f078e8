"""The examples that a script names: what is meant, what is left out, what is refused."""

import pytest
import slicer
from IncrementalSegPanel.scene.Examples import Example
from IncrementalSegPanel.scene.ScriptExamples import chosenExamples

from IncrementalSegLib.errors import DataError


@pytest.fixture
def node():
    return slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Outlines")


def example(node, name, uncorrected=False):
    return Example(node.GetID(), name, name, "volume", "Scan", 1.0, 5, uncorrected=uncorrected)


def test_a_node_means_its_segments_of_that_name(node):
    other = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    found = [example(node, "Liver"), example(node, "spleen"), example(other, "liver")]
    assert chosenExamples(found, "liver", [node]) == ([found[0]], [])
    assert chosenExamples(found, "liver", node) == ([found[0]], [])
    assert chosenExamples(found, "liver", [node, other, node]) == ([found[0], found[2]], [])
    assert chosenExamples(found, "liver", [found[1]]) == ([found[1]], [])


@pytest.mark.parametrize("asExample", [False, True])
def test_what_nobody_corrected_is_left_out(node, asExample):
    other = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    found = [example(node, "liver", uncorrected=True), example(other, "liver")]
    chosen, warnings = chosenExamples(found, "liver", found if asExample else [node, other])
    assert chosen == [found[1]]
    assert warnings == ["liver of Scan was left out: a model made it, and nobody corrected it."]
    with pytest.raises(DataError, match="No example of liver is left") as error:
        chosenExamples(found, "liver", found[:1] if asExample else [node])
    assert error.value.why == warnings[0]
    assert "(node, segment name)" in error.value.todo


def test_a_pair_names_one_segment_also_one_that_a_model_made(node):
    found = [example(node, "liver", uncorrected=True), example(node, "spleen")]
    assert chosenExamples(found, "liver", [(node, "Liver"), node]) == ([found[0]], [])
    assert chosenExamples(found, "liver", [(node, "spleen")]) == ([found[1]], [])
    with pytest.raises(DataError, match=r"Outlines has no segment called lung. Its segments: liver, spleen\."):
        chosenExamples(found, "liver", [(node, "lung")])


@pytest.mark.parametrize("named", [None, [None], [], [7], "liver", [("node", "liver")]], ids=str)
def test_what_is_no_example_is_said(node, named):
    with pytest.raises(DataError, match=r"is (not an|no) example\b") as error:
        chosenExamples([example(node, "liver")], "liver", named)
    assert error.value.what
    assert error.value.why
    assert error.value.todo
