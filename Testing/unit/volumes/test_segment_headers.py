"""Headers of ``.seg.nrrd`` files as other programs write them: understood, or this one file is refused."""

import numpy as np
import pytest

from IncrementalSegLib.errors import DataError
from IncrementalSegLib.volumes.io import image_of, write_image
from IncrementalSegLib.volumes.labels import segment_names
from IncrementalSegLib.volumes.segmentations import read_masks
from IncrementalSegLib.volumes.volume import Grid

GRID = Grid((2, 3, 4))
LABELS = (np.arange(24) % 3).astype(np.uint8).reshape(1, 2, 3, 4)


def written(folder, fields, layers=LABELS):
    image = image_of(layers, GRID)
    for key, text in fields.items():
        image.SetMetaData(key, text)
    write_image(folder / "s.seg.nrrd", image)
    return folder / "s.seg.nrrd"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"Segment0_Layer": "7"}, r"'liver' of s\.seg\.nrrd has the Layer '7'.*1 layer"),
        ({"Segment0_Layer": "-1"}, "Layer '-1'"),
        ({"Segment0_Layer": "first"}, "Layer 'first'"),
        ({"Segment0_LabelValue": "1.5"}, "LabelValue '1.5'"),
        ({"Segment0_LabelValue": "0"}, "LabelValue '0'"),
        ({"Segment0_LabelValue": "9" * 40}, "LabelValue '9999"),
        ({"Segment1_ID": "b", "Segment1_Name": "spleen"}, "'liver' and 'spleen'.*are both the value 1 of layer 0"),
    ],
)
def test_segment_that_cannot_be_found_is_refused(tmp_path, fields, said):
    path = written(tmp_path, {"Segment0_ID": "a", "Segment0_Name": "liver", **fields})
    with pytest.raises(DataError, match=said):
        segment_names(path)
    with pytest.raises(DataError, match=said):
        read_masks(GRID, ["liver"], path)


def test_segments_numbered_with_gaps_and_without_id_are_read(tmp_path):
    fields = {"Segment2_ID": "x", "Segment2_Name": "liver", "Segment2_LabelValue": "1", "Segment10_Name": "spleen"}
    path = written(tmp_path, fields | {"Segment10_LabelValue": "2"})
    assert segment_names(path) == ("liver", "spleen")
    found = read_masks(GRID, ["spleen", "liver"], path)
    np.testing.assert_array_equal(found["liver"], LABELS[0] == 1)
    np.testing.assert_array_equal(found["spleen"], LABELS[0] == 2)


def test_two_segments_of_one_name_are_one_structure(tmp_path):
    fields = {"Segment0_ID": "a", "Segment0_Name": "liver", "Segment0_LabelValue": "1"}
    path = written(tmp_path, fields | {"Segment1_ID": "b", "Segment1_Name": "liver ", "Segment1_LabelValue": "2"})
    np.testing.assert_array_equal(read_masks(GRID, ["LIVER"], path)["LIVER"], LABELS[0] > 0)


def test_two_segments_whose_names_differ_in_letter_case_are_refused(tmp_path):
    fields = {"Segment0_ID": "a", "Segment0_Name": "liver", "Segment0_LabelValue": "1"}
    path = written(tmp_path, fields | {"Segment1_ID": "b", "Segment1_Name": "LIVER", "Segment1_LabelValue": "2"})
    with pytest.raises(DataError, match="called 'liver' and 'LIVER'"):
        read_masks(GRID, ["liver"], path)


@pytest.mark.parametrize(
    "name",
    ["left kidney ", "Left  Kidney", "left\u00a0kidney", "left kidney\u200b", "\ufeffleft kidney", "left\tkidney"],
)
def test_blanks_and_invisible_signs_of_a_name_do_not_matter(tmp_path, name):
    path = written(tmp_path, {"Segment0_ID": "a", "Segment0_Name": name})
    np.testing.assert_array_equal(read_masks(GRID, ["left kidney"], path)["left kidney"], LABELS[0] == 1)


def test_unicode_forms_of_a_name_do_not_matter(tmp_path):
    path = written(tmp_path, {"Segment0_ID": "a", "Segment0_Name": "Schu\u0308ssel"})  # NFD
    np.testing.assert_array_equal(read_masks(GRID, ["sch\u00fcssel"], path)["sch\u00fcssel"], LABELS[0] == 1)


def test_seg_nrrd_without_segments_holds_nothing(tmp_path):
    assert not read_masks(GRID, ["liver"], written(tmp_path, {}))["liver"].any()
