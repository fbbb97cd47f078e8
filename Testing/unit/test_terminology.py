"""Names become terminology and colours, however they are written."""

import colorsys

import pytest

from IncrementalSegLib.terminology import color_of, terminology_of

LIVER = (
    "Segmentation category and type - 3D Slicer General Anatomy list~SCT^123037004^Anatomical Structure"
    "~SCT^10200004^Liver~^^~Anatomic codes - DICOM master list~^^~^^"
)
LEFT_KIDNEY = LIVER.replace("10200004^Liver~^^", "64033007^Kidney~SCT^7771000^Left")


def test_serialised_entry():
    assert terminology_of("Liver") == LIVER


@pytest.mark.parametrize(
    "name", ["left kidney", "kidney_left", "Kidney, Left", "kidney-LEFT", "Kidney (left)", "kidney L"]
)
def test_side_may_stand_anywhere(name):
    assert terminology_of(name) == LEFT_KIDNEY
    assert terminology_of(name.casefold().replace("left", "right")) != LEFT_KIDNEY or name == "kidney L"


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("adrenal_gland_right", "SCT^23451007^Adrenal gland~SCT^24028007^Right"),
        ("portal and splenic vein", "SCT^32764006^Portal vein~^^"),
        ("inferior vena cava", "SCT^64131007^Inferior vena cava~^^"),
        ("anterior hippocampus", "SCT^5366008^Hippocampus~^^"),
        ("Hippocampus posterior", "SCT^5366008^Hippocampus~^^"),
        ("vertebrae", "SCT^51282000^Vertebra~^^"),
        ("vertebrae_L5", "SCT^51282000^Vertebra~^^"),
        ("intervertebral discs", "SCT^360499006^Intervertebral disc~^^"),
        ("rib_left_4", "SCT^113197003^Rib~SCT^7771000^Left"),
        ("lung_middle_lobe_right", "SCT^72481006^Middle lobe of right lung~^^"),
        ("heart_ventricle_left", "SCT^87878005^Left Ventricle~^^"),
        ("humerus", "SCT^85050009^Humerus~^^"),
        ("muscles", "SCT^71616004^Muscle~^^"),
        ("lesion", "SCT^4147007^Mass~^^"),
        ("skin lesion", "SCT^4147007^Mass~^^~Anatomic codes - DICOM master list~SCT^39937001^Skin~^^"),
    ],
)
def test_table(name, code):
    assert code in (terminology_of(name) or "")


@pytest.mark.parametrize("name", ["", "left", "structure A", "liverwort", "1", "ä"])
def test_unknown_names_have_no_terminology_but_a_colour(name):
    assert terminology_of(name) is None
    assert color_of(name) == color_of(name.upper())
    assert all(0 <= part <= 255 for part in color_of(name))


def test_colours_of_unknown_names_are_bright_and_mostly_distinct():
    colors = [color_of(f"structure {index}") for index in range(30)]
    assert len(set(colors)) >= 25
    assert all(colorsys.rgb_to_hsv(*(part / 255 for part in color))[2] > 0.7 for color in colors)
    assert color_of("liver") == (221, 130, 101)


def test_structures_of_one_scan_differ_in_colour():
    names = ("humerus", "scapula", "muscle", "fat", "clavicle", "vertebrae", "intervertebral discs", "spinal canal")
    assert len({color_of(name) for name in names}) == len(names)
    assert color_of("anterior hippocampus") != color_of("posterior hippocampus")
