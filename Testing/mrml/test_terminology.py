"""Names, colours and codes between structures and Slicer's segments."""

import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed: pip install slicer-core")

from IncrementalSegPanel.scene.Terminology import describe, entryOf, entryOfSegment, nameOf  # noqa: E402

from IncrementalSegLib.structures import Structure  # noqa: E402


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("adrenal gland left", "Left adrenal gland"),
        ("Kidney, right", "Right kidney"),
        ("left atrium", "Left atrium"),
        ("left kidney cyst", "Left kidney cyst"),
        ("liver tumor", "Liver mass"),
        ("humerus", "Humerus"),
        ("fat", "Body fat"),
    ],
)
def test_an_entry_is_said_with_its_side(name, said):
    assert nameOf(entryOf(name)) == said
    if name != "liver tumor":  # the table has no word for a mass in the liver
        assert entryOf(said) == entryOf(name)


def test_a_bone_of_a_region_is_called_as_the_region():
    category, kind = "SCT^85756007^Tissue", "SCT^272673000^Bone"
    entry = f"List~{category}~{kind}~^^~Regions~SCT^71341001^Femur~SCT^7771000^Left"
    assert nameOf(entry) == "Left femur"


@pytest.mark.parametrize("entry", ["", "nonsense", "a~b", "~~~~~~", entryOf("an unknown thing")])
def test_an_entry_that_says_nothing_has_no_name(entry):
    assert nameOf(entry) == ""


def test_a_new_segment_of_slicer_says_nothing_yet():
    assert entryOfSegment(slicer.vtkSegment()) == ""


def test_a_segment_takes_what_a_structure_is():
    structure, segment = Structure.create("left kidney", 1), slicer.vtkSegment()
    describe(segment, structure)
    assert segment.GetName() == "left kidney"
    assert [round(part * 255) for part in segment.GetColor()] == list(structure.color)
    assert entryOfSegment(segment) == structure.terminology
    assert segment.GetTerminology() == structure.terminology


def test_slicer_s_own_logic_understands_our_entries():
    logic = slicer.modules.terminologies.logic()
    entry = slicer.vtkSlicerTerminologyEntry()
    assert logic.DeserializeTerminologyEntry(entryOf("left kidney"), entry)
    assert entry.GetTypeObject().GetCodeMeaning() == "Kidney"
    assert entry.GetTypeModifierObject().GetCodeMeaning() == "Left"
