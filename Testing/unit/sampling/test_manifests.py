"""Tables from real computers: names of cases, columns and encodings."""

import json

import numpy as np
import pytest

from IncrementalSegLib.errors import DataError, UnknownNameError
from IncrementalSegLib.sampling.checks import check_data
from IncrementalSegLib.sampling.datasets import open_data
from IncrementalSegLib.volumes.io import image_of, write_image
from IncrementalSegLib.volumes.volume import Grid

GRID = Grid((2, 4, 4))
LABELS = (np.arange(32) % 3).astype(np.uint8).reshape(GRID.shape)
TABLE = "image,looked_for,label\nscans/ä.nii.gz,Müller-Zelle,label.nii.gz\n"


def volume(path):
    write_image(path, image_of(LABELS[np.newaxis], GRID))


@pytest.fixture
def folder(tmp_path):
    volume(tmp_path / "scans/ä.nii.gz")
    volume(tmp_path / "label.nii.gz")
    return tmp_path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_table_in_any_encoding_and_with_any_end_of_line(folder, encoding, end):
    (folder / "manifest.csv").write_bytes(TABLE.replace("\n", end).encode(encoding))
    data = open_data(folder)
    assert data.names == ("Müller-Zelle",)
    assert [case.id for case in data.cases] == ["ä"]
    assert data.cases[0].images[0].exists()
    kinds = [note.kind for found in data.notes.values() for note in found]
    assert kinds == (["encoding"] if encoding == "cp1252" else [])


def test_utf_16_of_which_the_mark_is_missing_is_refused(folder):
    (folder / "manifest.csv").write_bytes(TABLE.encode("utf-16-le"))
    with pytest.raises(DataError, match=r"zero bytes.*UTF-8"):
        open_data(folder)


@pytest.mark.parametrize(("given", "code"), [("CT", "CT"), ("mri", "MR"), (" pt ", "PT"), ("", "")])
def test_a_row_may_state_its_modality(folder, given, code):
    table = f"image,looked_for,label,Modality\nscans/ä.nii.gz,cell,label.nii.gz,{given}\n"
    (folder / "manifest.csv").write_text(table, encoding="utf-8")
    (case,) = open_data(folder).cases
    assert (case.modality, case.masks.keys()) == (code, {"cell"})


def test_a_modality_that_dicom_does_not_know_is_refused(folder):
    table = "image,looked_for,label,modality\nscans/ä.nii.gz,cell,label.nii.gz,TC\n"
    (folder / "manifest.csv").write_text(table, encoding="utf-8")
    with pytest.raises(UnknownNameError, match=r"(?s)TC.*CT"):
        open_data(folder)


@pytest.mark.parametrize("cell", [[], [" "], ";"])
def test_a_list_of_nothing_is_not_taken_for_everything(folder, cell):
    row = {"image": "scans/ä.nii.gz", "label": "label.nii.gz", "values": {"1": "cell"}}
    (folder / "manifest.json").write_text(json.dumps([row | {"looked_for": cell}]))
    with pytest.raises(DataError, match=r"Row 1.*looked_for is .* names nothing"):
        open_data(folder)
    (folder / "manifest.json").write_text(json.dumps([row | {"looked_for": ""}]))
    assert open_data(folder).cases[0].looked_for == {"cell"}


def test_json_in_utf_16(folder):
    rows = [{"image": "scans/ä.nii.gz", "label": "label.nii.gz", "values": {"1": "Müller-Zelle"}}]
    (folder / "manifest.json").write_bytes(json.dumps(rows, ensure_ascii=False).encode("utf-16"))
    assert open_data(folder).names == ("Müller-Zelle",)


def test_line_of_a_spreadsheet_that_names_the_separator(folder):
    (folder / "manifest.csv").write_text("sep=;\n" + TABLE.replace(",", ";"), encoding="utf-8")
    assert open_data(folder).names == ("Müller-Zelle",)


@pytest.mark.parametrize(
    ("images", "names"),
    [
        (["p01/image.nii.gz", "p02/image.nii.gz"], ["p01", "p02"]),
        (["p01/t1/image.nii.gz", "p02/t1/image.nii.gz"], ["p01", "p02"]),
        (["p01/a/image.nii.gz", "p02/b/image.nii.gz"], ["a", "b"]),
        (["p01/pre.nii.gz", "p01/post.nii.gz", "p02/pre.nii.gz"], ["p01-post", "p01-pre", "p02-pre"]),
        (["x/p01/1/i.nii.gz", "x/p02/1/i.nii.gz", "x/p02/2/i.nii.gz"], ["x-p01-1-i", "x-p02-1-i", "x-p02-2-i"]),
        (["p01/a.nii.gz", "p02/b.nii.gz"], ["a", "b"]),
    ],
)
@pytest.mark.parametrize("form", ["manifest", "decathlon"])
def test_cases_of_equal_file_names_are_called_after_their_folders(folder, images, names, form):
    rows = [{"image": image, "label": "label.nii.gz"} for image in images]
    for image in images:
        volume(folder / image)
    table = {"labels": {"1": "x", "2": "y"}}
    if form == "manifest":
        (folder / "manifest.json").write_text(json.dumps(table | {"cases": rows}))
    else:
        (folder / "dataset.json").write_text(json.dumps(table | {"training": rows}))
    data = open_data(folder)
    assert [case.id for case in data.cases] == names
    assert [case.patient for case in data.cases] == names


def test_column_case_wins_and_one_scan_twice_is_refused(folder):
    rows = "scans/ä.nii.gz,x,label.nii.gz,one\nscans/ä.nii.gz,x,label.nii.gz,{}\n"
    (folder / "manifest.csv").write_text("image,looked_for,label,case\n" + rows.format("two"), encoding="utf-8")
    assert [case.id for case in open_data(folder).cases] == ["one", "two"]
    (folder / "manifest.csv").write_text("image,looked_for,label,case\n" + rows.format("one"), encoding="utf-8")
    with pytest.raises(DataError, match=r"Two cases .* 'one'"):
        open_data(folder)


@pytest.mark.parametrize("column", ["looked_fr", "lookedfor", "labels", "age"])
def test_column_that_holds_no_files_is_refused_with_the_nearest_name(folder, column):
    (folder / "manifest.csv").write_text(f"image,{column}\nscans/ä.nii.gz,humerus\n", encoding="utf-8")
    near = {"looked_fr": "looked_for", "lookedfor": "looked_for", "labels": "label"}.get(column)
    hint = f"Did you mean '{near}'" if near else "Known: case, image"
    with pytest.raises(UnknownNameError, match=f"'{column}'.*'humerus' is no file.*{hint}"):
        open_data(folder)


@pytest.mark.parametrize("column", ["Looked-For", " looked for "])
def test_columns_are_known_however_they_are_spelled(folder, column):
    (folder / "manifest.csv").write_text(f"Image,{column},LABEL\nscans/ä.nii.gz,x,label.nii.gz\n", encoding="utf-8")
    assert open_data(folder).cases[0].looked_for == {"x"}


def test_two_masks_of_one_name_are_refused(folder):
    row = {"image": "scans/ä.nii.gz", "masks": {"liver": "a.nrrd", "Liver ": "b.nrrd"}}
    (folder / "manifest.json").write_text(json.dumps([row]))
    with pytest.raises(DataError, match=r"two masks to 'Liver': a\.nrrd and b\.nrrd"):
        open_data(folder)


def test_decathlon_row_and_image_without_label_are_told_and_not_used(folder):
    for name in ("a", "b", "c", "d"):
        volume(folder / f"imagesTr/{name}.nii.gz")
    rows = [{"image": "imagesTr/a.nii.gz", "label": "label.nii.gz"}, {"image": "imagesTr/b.nii.gz"}]
    table = {"labels": {"1": "x", "2": "y"}, "training": rows, "test": ["imagesTs/t.nii.gz"]}
    (folder / "dataset.json").write_text(json.dumps(table))
    found = check_data(folder)
    assert [item.case for item in found] == ["a"]
    assert sorted(found.of_data) == ["b", "c", "d"]
    assert found.to_json()["notes"] == [
        {"kind": "without-label", "count": 3, "case": "b",
         "text": "3 cases, first b: the image b.nii.gz has no label and is not used."}
    ]  # fmt: skip


def test_one_broken_segment_costs_one_case(folder):
    image = image_of(LABELS[np.newaxis], GRID)
    for key, text in {"Segment0_ID": "a", "Segment0_Name": "x", "Segment0_Layer": "7"}.items():
        image.SetMetaData(key, text)
    write_image(folder / "bad.seg.nrrd", image)
    rows = [{"image": "scans/ä.nii.gz", "case": "bad", "label": "bad.seg.nrrd"}]
    rows += [{"image": "scans/ä.nii.gz", "case": "good", "label": "label.nii.gz", "values": {"1": "x", "2": "y"}}]
    (folder / "manifest.json").write_text(json.dumps(rows))
    bad, good = check_data(folder)
    assert (bad.verdict, good.verdict) == ("refused", "ok")
    assert "The segment 'x' of bad.seg.nrrd has the Layer '7'" in bad.message


@pytest.mark.parametrize("twins", ["label,label", "Label,label", "patient,Patient", "cell,Cell"])
def test_two_columns_of_one_name_are_refused(folder, twins):
    table = f"image,looked_for,{twins}\nscans/ä.nii.gz,cell,label.nii.gz,label.nii.gz\n"
    (folder / "manifest.csv").write_text(table, encoding="utf-8")
    with pytest.raises(DataError, match="2 columns called"):
        open_data(folder)
