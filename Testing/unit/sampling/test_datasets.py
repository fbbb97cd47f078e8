"""The three layouts, choosing among cases, and reading one."""

import json

import numpy as np
import pytest

from IncrementalSegLib.errors import DataError, GeometryError, UnknownNameError
from IncrementalSegLib.sampling.datasets import open_data, restrict_labels, select_cases
from IncrementalSegLib.sampling.reading import read_case
from IncrementalSegLib.structures import Structure, parse_names
from IncrementalSegLib.volumes.io import image_of, write_image
from IncrementalSegLib.volumes.seg_nrrd import write_seg_nrrd
from IncrementalSegLib.volumes.volume import Grid

GRID = Grid((4, 5, 6))
LABELS = (np.arange(120) % 4).astype(np.uint8).reshape(4, 5, 6)


def save(path, array=LABELS):
    write_image(path, image_of(array[np.newaxis], GRID))
    return path


def write_json(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


@pytest.fixture
def nnunet(tmp_path):
    root = tmp_path / "Dataset001_Test"
    labels = {"background": 0, "whole": [1, 2, 3], "liver": 1, "spleen": 2}
    channels = {"0": "T1", "1": "T2"}
    write_json(root / "dataset.json", {"channel_names": channels, "labels": labels, "file_ending": ".nii.gz"})
    for case in ("b", "a"):
        save(root / f"labelsTr/{case}.nii.gz")
        for channel in (0, 1):
            save(root / f"imagesTr/{case}_{channel:04d}.nii.gz", LABELS + np.uint8(10 * channel))
    save(root / "imagesTs/unlabelled_0000.nii.gz")
    save(root / "imagesTr/unlabelled_0000.nii.gz")
    return root


@pytest.fixture
def decathlon(tmp_path):
    root = tmp_path / "Task99"
    rows = [{"image": f"./imagesTr/{case}.nii.gz", "label": f"./labelsTr/{case}.nii.gz"} for case in ("x2", "x1")]
    labels = {"0": "background", "2": "posterior", "1": "anterior"}
    write_json(
        root / "dataset.json", {"name": "Hippo", "labels": labels, "training": rows, "test": ["./imagesTs/y.nii"]}
    )
    for case in ("x1", "x2"):
        save(root / f"imagesTr/{case}.nii.gz")
        save(root / f"labelsTr/{case}.nii.gz")
    return root


@pytest.mark.parametrize(
    ("key", "channels", "code"),
    [
        ("channel_names", {"0": "CT"}, "CT"),
        ("channel_names", {"0": "MRI", "1": "mri"}, "MR"),
        ("channel_names", {"0": "CT", "1": "PET"}, ""),
        ("channel_names", {"0": "T1", "1": "T2"}, ""),
        ("modality", {"0": "MRI", "1": "MR"}, "MR"),
        ("modality", "CT", "CT"),
        ("modality", ["MRI"], "MR"),
        ("modality", 7, ""),
        ("modality", None, ""),
    ],
)
def test_a_description_may_state_the_modality(nnunet, key, channels, code):
    description = json.loads((nnunet / "dataset.json").read_text())
    if key == "modality":  # nnU-Net v1: labelsTr without a training list
        del description["channel_names"]
        for file in (nnunet / "imagesTr").glob("*_0001*"):
            file.unlink()
    write_json(nnunet / "dataset.json", description | {key: channels})
    assert {case.modality for case in open_data(nnunet).cases} == {code}


def test_channels_that_name_no_modality_leave_it_to_the_other_field(nnunet):
    description = json.loads((nnunet / "dataset.json").read_text())
    named = {"channel_names": {"0": "noNorm", "1": "noNorm"}, "modality": {"0": "CT"}}
    write_json(nnunet / "dataset.json", description | named)
    assert {case.modality for case in open_data(nnunet).cases} == {"CT"}


def manifest(tmp_path, text, name="manifest.csv"):
    (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path / name


def test_nnunet(nnunet):
    data = open_data(nnunet)
    assert [case.id for case in data.cases] == ["a", "b"]
    assert data.names == ("liver", "whole", "spleen")
    volume, masks = read_case(data.cases[0])
    np.testing.assert_array_equal(volume.array, np.stack([LABELS, LABELS + 10]))
    np.testing.assert_array_equal(masks["whole"], LABELS > 0)
    np.testing.assert_array_equal(masks["spleen"], LABELS == 2)
    assert open_data(nnunet / "dataset.json") == data


def test_nnunet_ignore_label_is_no_structure_and_says_where_nobody_looked(nnunet):
    description = json.loads((nnunet / "dataset.json").read_text())
    description["labels"] = {"background": 0, "liver": 1, "spleen": 2, "Ignore": 3}
    write_json(nnunet / "dataset.json", description)
    data = open_data(nnunet)
    assert data.names == ("liver", "spleen")
    assert data.cases[0].looked_for == {"liver", "spleen"}
    with pytest.raises(UnknownNameError):
        restrict_labels(data, parse_names("ignore"))
    (case, _) = restrict_labels(data, parse_names("liver")).cases
    volume, masks = read_case(case)
    assert list(masks) == ["liver"]
    np.testing.assert_array_equal(volume.unlabelled, LABELS == 3)


def test_ignore_in_a_manifest(tmp_path):
    save(tmp_path / "l.nii.gz")
    data = open_data(manifest(tmp_path, "image,label,values\nl.nii.gz,l.nii.gz,1=liver;3=ignore\n"))
    assert (data.names, data.cases[0].looked_for) == (("liver",), {"liver"})
    np.testing.assert_array_equal(read_case(data.cases[0])[0].unlabelled, LABELS == 3)


def test_decathlon(decathlon):
    data = open_data(decathlon)
    assert (data.name, data.names) == ("Hippo", ("anterior", "posterior"))
    assert [(case.id, case.patient) for case in data.cases] == [("x1", "x1"), ("x2", "x2")]
    np.testing.assert_array_equal(read_case(data.cases[0])[1]["posterior"], LABELS == 2)


def test_cases_without_a_patient_are_not_one_person(decathlon):
    description = json.loads((decathlon / "dataset.json").read_text())
    for row, patient in zip(description["training"], (None, " ", 0), strict=False):
        row["patient"] = patient
    write_json(decathlon / "dataset.json", description)
    cases = open_data(decathlon).cases
    assert [case.patient for case in cases] == [case.id for case in cases][:2] + ["0"] * (len(cases) - 2)


def test_decathlon_listing_files_as_nnunet_v1_does(decathlon):
    (decathlon / "imagesTr/x1.nii.gz").rename(decathlon / "imagesTr/x1_0000.nii.gz")
    save(decathlon / "imagesTr/x1_0001.nii.gz")
    assert read_case(open_data(decathlon).cases[0])[0].channels == 2


def test_manifest_with_every_kind_of_label(tmp_path):
    for name in ("a", "b", "c", "d_0", "d_1", "e"):
        save(tmp_path / f"img/{name}.nii.gz")
    save(tmp_path / "map.nrrd")
    save(tmp_path / "one.nrrd", (LABELS == 3).astype(np.uint8) * 255)
    structures = [Structure.create("Liver", 1), Structure.create("spleen", 1)]
    write_seg_nrrd(tmp_path / "s.seg.nrrd", {"Liver": LABELS > 0, "spleen": LABELS > 1}, GRID, structures)
    path = manifest(
        tmp_path,
        "image,patient,looked_for,label,values,case,aorta\n"
        "img/a.nii.gz,p1,,map.nrrd,1=liver;2=spleen;3=spleen,,\n"
        "img/b.nii.gz,p1,liver;kidney,s.seg.nrrd,,,\n"
        "img/c.nii.gz,,,liver=one.nrrd;kidney=map.nrrd,,named,\n"
        "img/d_0.nii.gz;img/d_1.nii.gz,p2,Liver,map.nrrd,,,\n"
        "img/e.nii.gz,p3,aorta;spleen,,,,one.nrrd\n",
    )
    cases = {case.id: case for case in open_data(tmp_path).cases}
    assert open_data(path).names == open_data(tmp_path).names
    assert {key: case.patient for key, case in cases.items()} == {
        "a": "p1", "b": "p1", "named": "named", "d_0": "p2", "e": "p3"
    }  # fmt: skip
    masks = {key: read_case(case)[1] for key, case in cases.items()}
    expected = {
        "a": {"liver": LABELS == 1, "spleen": LABELS > 1},
        "b": {"liver": LABELS > 0, "kidney": LABELS < 0},
        "named": {"liver": LABELS == 3, "kidney": LABELS > 0},
        "d_0": {"liver": LABELS > 0},
        "e": {"aorta": LABELS == 3, "spleen": LABELS < 0},
    }
    for key, structures in expected.items():
        assert set(masks[key]) == set(structures)
        for name, mask in structures.items():
            np.testing.assert_array_equal(masks[key][name], mask, err_msg=f"{key} {name}")
    assert read_case(cases["d_0"])[0].channels == 2


def test_json_manifest_and_labels_json(tmp_path):
    save(tmp_path / "a.nii.gz")
    save(tmp_path / "map.nii.gz")
    rows = [{"image": "a.nii.gz", "label": "map.nii.gz", "looked_for": ["spleen"]}]
    path = write_json(tmp_path / "m.json", {"labels": {"liver": 1, "spleen": [2, 3]}, "cases": rows})
    np.testing.assert_array_equal(read_case(open_data(path).cases[0])[1]["spleen"], LABELS > 1)
    rows = [
        {"image": ["a.nii.gz"], "label": {"liver": "map.nii.gz"}},
        {"image": "a.nii.gz", "label": "map.nii.gz", "case": 2},
    ]
    write_json(tmp_path / "labels.json", {"1": "liver", "2": "spleen"})
    first, second = reversed(open_data(write_json(tmp_path / "m.json", rows)).cases)
    assert (first.looked_for, second.looked_for) == ({"liver"}, {"liver", "spleen"})


def test_semicolon_table_of_a_spreadsheet(tmp_path):
    save(tmp_path / "a.nii.gz")
    path = manifest(tmp_path, "\ufeffImage;Looked for;Label;values\na.nii.gz;liver;a.nii.gz;1=liver\n")
    assert open_data(path).cases[0].looked_for == {"liver"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("image,label\na.nii.gz,map.nii.gz\n", "Row 1 .* values"),
        ("image,label,values\na.nii.gz,map.nii.gz,liver\n", "Row 1 .* 1=liver"),
        ("image,label\n,map.nii.gz\n", "Row 1 .* no image"),
        ("scan,label\na.nii.gz,map.nii.gz\n", "no column 'image'"),
        ("image,label\n", "not a manifest"),
        ("image,looked_for,label\na.nii.gz,livr,liver=map.nii.gz\n", r"'livr'.*Did you mean 'liver'"),
        ("image,looked_for,label,values\na.nii.gz,livr,map.nii.gz,1=liver\n", r"'livr'.*Did you mean 'liver'"),
        ("image,liver\na.nii.gz,m.nii.gz\na.nii.gz,m.nii.gz\n", "Two cases .* 'a'"),
    ],
)
def test_faulty_manifest_says_where(tmp_path, text, said):
    with pytest.raises((DataError, UnknownNameError), match=said):
        open_data(manifest(tmp_path, text))


def test_unknown_layouts_list_the_known_ones(tmp_path):
    for path in (tmp_path, write_json(tmp_path / "other/dataset.json", {"labels": {"a": 1}}).parent):
        with pytest.raises(DataError, match=r"\(1\) nnU-Net.*\(2\) Medical.*\(3\) a manifest"):
            open_data(path)
    with pytest.raises(DataError, match="is not there"):
        open_data(tmp_path / "nowhere")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/dataset.json").write_text("{")
    with pytest.raises(DataError, match="cannot be read as JSON"):
        open_data(tmp_path / "broken")


def test_select_cases_by_list_and_file(decathlon, tmp_path):
    data = open_data(decathlon)
    (tmp_path / "cases.txt").write_text("# chosen\nx2\n\n")
    assert [case.id for case in select_cases(data, str(tmp_path / "cases.txt")).cases] == ["x2"]
    assert select_cases(data, "x2, x1").cases == data.cases
    with pytest.raises(UnknownNameError, match=r"'x3'.*Known: x1, x2"):
        select_cases(data, "x1,x3")
    with pytest.raises(DataError, match="names no case"):
        select_cases(data, " ,")


def test_looked_for_restricts_and_spells_as_asked(tmp_path):
    for name in ("a", "b", "c"):
        save(tmp_path / f"{name}.nii.gz")
    path = manifest(
        tmp_path,
        "image,looked_for,label,values\n"
        "a.nii.gz,liver;spleen,a.nii.gz,1=liver;2=spleen\n"
        "b.nii.gz,spleen,b.nii.gz,1=liver;2=spleen\n"
        "c.nii.gz,kidney,kidney=c.nii.gz,\n",
    )
    data = open_data(path)
    found = restrict_labels(data, parse_names("Leber=LIVER, Niere=Kidney"))
    assert {case.id: set(case.looked_for) for case in found.cases} == {"a": {"LIVER"}, "c": {"Kidney"}}
    np.testing.assert_array_equal(read_case(found.cases[0])[1]["LIVER"], LABELS == 1)
    np.testing.assert_array_equal(read_case(found.cases[1])[1]["Kidney"], LABELS > 0)
    with pytest.raises(UnknownNameError, match=r"'lever'.*liver"):
        restrict_labels(data, parse_names("lever"))
    only_b = select_cases(data, "b")
    with pytest.raises(DataError, match="liver was looked for in none of the 1 cases"):
        restrict_labels(only_b, parse_names("liver"))


def test_reading_a_broken_case_names_it(decathlon):
    data = open_data(decathlon)
    (decathlon / "imagesTr/x1.nii.gz").unlink()
    with pytest.raises(DataError, match=r"Case 'x1'.*is not there"):
        read_case(data.cases[0])
    far = Grid((3, 5, 6), origin=(900.0, 0.0, 0.0))
    write_image(decathlon / "labelsTr/x2.nii.gz", image_of(LABELS[np.newaxis, 1:], far))
    with pytest.raises(GeometryError, match=r"Case 'x2'.*do not overlap"):
        read_case(data.cases[1])


@pytest.mark.parametrize(
    ("name", "cases", "names"),
    [
        ("hippocampus-mr", 190, ("anterior hippocampus", "posterior hippocampus")),
        ("lumbar-spine-mr", 29, ("vertebrae", "intervertebral discs", "spinal canal")),
        ("skin-2d-isic2017", 70, ("lesion",)),
    ],
)
def test_real_sets_open(shared_data, name, cases, names):
    data = open_data(shared_data / name)
    assert (len(data.cases), data.names) == (cases, names)
    volume, masks = read_case(data.cases[0])
    assert set(masks) == set(names)
    assert all(mask.shape == volume.grid.shape and mask.any() for mask in masks.values())


def test_a_name_that_no_file_can_have_is_not_there(tmp_path):
    with pytest.raises(DataError, match="is not there"):
        open_data(tmp_path / ("x" * 300))
