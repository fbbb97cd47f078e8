"""Names in data sets: spellings that mean the same, and structures that a file does not name."""

import json

import numpy as np
import pytest

from IncrementalSegLib.errors import DataError, OptionError, UnknownNameError
from IncrementalSegLib.sampling.checks import check_data
from IncrementalSegLib.sampling.datasets import open_data, restrict_labels, select_cases
from IncrementalSegLib.sampling.reading import CaseReader, read_case
from IncrementalSegLib.structures import Structure, StructureSpec, parse_names
from IncrementalSegLib.volumes.io import image_of, write_image
from IncrementalSegLib.volumes.seg_nrrd import write_seg_nrrd
from IncrementalSegLib.volumes.volume import Grid

GRID = Grid((2, 4, 4))
LABELS = (np.arange(32) % 3).astype(np.uint8).reshape(GRID.shape)
SPELLINGS = ("left kidney ", "Left  Kidney", "left\u00a0kidney", "\ufeffleft kidney")


def volume(path, array=LABELS):
    write_image(path, image_of(array[np.newaxis].astype(np.uint8), GRID))
    return path


def segments(path, *names):
    masks = {name: value == LABELS for value, name in enumerate(names, start=1)}
    write_seg_nrrd(path, masks, GRID, [Structure(str(at), name, 1, (0, 0, 0)) for at, name in enumerate(masks)])
    image = path.read_bytes()
    for name in names:  # the writer tidies names
        image = image.replace(f"_Name:={' '.join(name.split())}\n".encode(), f"_Name:={name}\n".encode())
    path.write_bytes(image)
    return path


def manifest(folder, rows, **more):
    for row in rows:
        volume(folder / row["image"])
    (folder / "manifest.json").write_text(json.dumps({"cases": rows, **more}), encoding="utf-8")
    return open_data(folder)


@pytest.mark.parametrize("name", SPELLINGS)
@pytest.mark.parametrize("said", [{}, {"looked_for": "left kidney"}])
@pytest.mark.parametrize("form", ["segments", "mask", "values"])
def test_another_spelling_is_the_same_structure(tmp_path, name, said, form):
    row = {"image": "b.nii.gz", **said}
    if form == "segments":
        row["label"] = segments(tmp_path / "b.seg.nrrd", name).name
    elif form == "mask":
        row["masks"] = {name: volume(tmp_path / "m.nrrd", LABELS == 1).name}
    else:
        row |= {"label": volume(tmp_path / "l.nrrd").name, "values": {"1": name}}
    first = {"image": "a.nii.gz", "masks": {"left kidney": volume(tmp_path / "a.nrrd", LABELS == 2).name}}
    data = manifest(tmp_path, [first, row])
    assert data.names == ("left kidney",)
    found = restrict_labels(data, parse_names("LEFT KIDNEY"))
    np.testing.assert_array_equal(read_case(found.cases[1])[1]["LEFT KIDNEY"], LABELS == 1)


@pytest.mark.parametrize("form", ["segments", "masks", "values"])
def test_file_that_names_others_leaves_the_structure_unknown_and_says_what_is_there(tmp_path, form):
    row = {"image": "b.nii.gz"}
    if form == "segments":
        row["label"] = segments(tmp_path / "b.seg.nrrd", "liver", "Niere links").name
    elif form == "masks":
        row["masks"] = {name: volume(tmp_path / f"{name}.nrrd").name for name in ("liver", "Niere links")}
    else:
        row |= {"label": volume(tmp_path / "l.nrrd").name, "values": "1=liver;2=Niere links"}
    first = {"image": "a.nii.gz", "label": segments(tmp_path / "a.seg.nrrd", "liver", "left kidney").name}
    data = manifest(tmp_path, [first, row])
    found = restrict_labels(data, parse_names("left kidney"))
    assert [case.id for case in found.cases] == ["a"]
    (note,) = found.notes["b"]
    assert note.kind == "unknown-there"
    assert "names liver, Niere links, but not left kidney: unknown there, so the case is not used" in note.message
    both = restrict_labels(data, parse_names("left kidney, liver"))
    assert [set(case.looked_for) for case in both.cases] == [{"left kidney", "liver"}, {"liver"}]
    assert "not used" not in both.notes["b"][0].message


@pytest.mark.parametrize("form", ["segments", "masks"])
def test_structure_is_absent_only_where_the_manifest_says_that_it_was_looked_for(tmp_path, form):
    row = {"image": "b.nii.gz", "looked_for": "liver;left kidney"}
    if form == "segments":
        row["label"] = segments(tmp_path / "b.seg.nrrd", "liver").name
    else:
        row["masks"] = {"liver": volume(tmp_path / "liver.nrrd").name}
    first = {"image": "a.nii.gz", "label": segments(tmp_path / "a.seg.nrrd", "liver", "left kidney").name}
    found = restrict_labels(manifest(tmp_path, [first, row]), parse_names("left kidney"))
    assert "b" not in found.notes
    assert not read_case(found.cases[1])[1]["left kidney"].any()


def test_nnunet_label_that_names_its_own_segments_is_asked_what_it_holds(tmp_path):
    table = {"channel_names": {"0": "CT"}, "labels": {"background": 0, "liver": 1, "spleen": 2}}
    for case in ("a", "b"):
        volume(tmp_path / f"imagesTr/{case}_0000.nrrd")
    (tmp_path / "labelsTr").mkdir()
    for case, names in (("a", ("spleen", "Liver")), ("b", ("liver",))):
        segments(tmp_path / f"{case}.seg.nrrd", *names).rename(tmp_path / f"labelsTr/{case}.nrrd")
    (tmp_path / "dataset.json").write_text(json.dumps(table | {"file_ending": ".nrrd"}))
    data = open_data(tmp_path)
    assert [set(case.looked_for) for case in data.cases] == [{"liver", "spleen"}, {"liver"}]
    np.testing.assert_array_equal(read_case(data.cases[0])[1]["spleen"], LABELS == 1)  # by its name, not its value
    assert "names liver, but not spleen" in restrict_labels(data, parse_names("spleen")).notes["b"][0].message


@pytest.mark.parametrize(
    "table", [{"1": "kidney", "2": "kidney"}, {"1": "kidney", "2": " kidney "}, {"kidney": [1, 2]}]
)
def test_two_values_of_one_name_are_one_structure(tmp_path, table):
    row = {"image": "a.nii.gz", "label": volume(tmp_path / "l.nrrd").name}
    for data in (manifest(tmp_path, [row], labels=table), manifest(tmp_path, [row | {"values": table}])):
        np.testing.assert_array_equal(read_case(data.cases[0])[1]["kidney"], LABELS > 0)


def test_two_values_whose_names_differ_in_letter_case_are_refused(tmp_path):
    row = {"image": "a.nii.gz", "label": volume(tmp_path / "l.nrrd").name}
    table = {"1": "Kidney", "2": "kidney"}
    for more, labels in (({}, {"labels": table}), ({"values": table}, {})):
        with pytest.raises(DataError, match="gives 'Kidney' the value 1 and 'kidney' the value 2"):
            manifest(tmp_path, [row | more], **labels)
    with pytest.raises(DataError, match="gives 'Kidney' the value 1 and 'kidney' the value 2"):
        manifest(tmp_path, [row], labels={"Kidney": [1, 2], "kidney": [2]})


def test_rows_that_spell_a_label_in_two_ways_are_noted(tmp_path):
    volume(tmp_path / "l.nrrd")
    rows = [{"image": f"{name}.nii.gz", "label": "l.nrrd", "values": {"1": name}} for name in ("Ab", "aB")]
    data = manifest(tmp_path, rows)
    assert data.names == ("Ab",)
    (note,) = data.notes["manifest.json"]
    assert note.message.startswith("'Ab' and 'aB' are taken for one label")
    both = [rows[0] | {"values": {"1": "Ab", "2": "c"}}, rows[1] | {"values": {"1": "aB", "2": "C"}}]
    (note,) = manifest(tmp_path, both).notes["manifest.json"]
    assert note.message.startswith("'Ab' and 'aB'; 'c' and 'C' are taken for one label")
    assert manifest(tmp_path, [rows[0], rows[1] | {"values": {"1": "Ab"}}]).notes == {}


def test_key_that_stands_twice_in_json_is_refused(tmp_path):
    (tmp_path / "m.json").write_text('{"labels": {"kidney": 1, "kidney": 2}, "cases": []}')
    with pytest.raises(DataError, match="'kidney' twice"):
        open_data(tmp_path / "m.json")


@pytest.mark.parametrize(("value", "said"), [(1.5, "whole numbers"), ([0, 1], "0 is the background"), (True, "whole")])
def test_values_that_are_none_are_refused(tmp_path, value, said):
    row = {"image": "a.nii.gz", "label": "l.nrrd"}
    with pytest.raises(DataError, match=said):
        manifest(tmp_path, [row], labels={"kidney": value})


@pytest.mark.parametrize("table", [{"1": " ", "2": "liver"}, {"": 1}])
def test_value_without_a_name_is_refused(tmp_path, table):
    row = {"image": "a.nii.gz", "label": "l.nrrd"}
    with pytest.raises(DataError, match="gives no name to the value 1"):
        manifest(tmp_path, [row], labels=table)


@pytest.mark.parametrize("name", ["kidney, left", "a;b", "grade=2", 'the "old" one, left'])
def test_names_with_separators_can_be_asked_for(tmp_path, name):
    quoted = '"' + name.replace('"', '""') + '"'
    path = volume(tmp_path / "l.nrrd").name
    volume(tmp_path / "a.nii.gz")
    (tmp_path / "m.json").write_text(json.dumps([{"image": "a.nii.gz", "label": path, "values": {"2": name}}]))
    cell = '"' + f"2={quoted};1=x".replace('"', '""') + '"'
    asked = '"' + quoted.replace('"', '""') + '"'
    (tmp_path / "m.csv").write_text(f"image,label,values,looked_for\na.nii.gz,{path},{cell},{asked}\n")
    for table in ("m.json", "m.csv"):
        found = restrict_labels(open_data(tmp_path / table), parse_names(f"mine={quoted}"))
        np.testing.assert_array_equal(read_case(found.cases[0])[1][name], LABELS == 2)
    assert parse_names(f"mine={quoted}") == [StructureSpec("mine", name)]
    with pytest.raises(OptionError, match="quoted"):
        parse_names('"kidney, left"')


def test_cases_are_chosen_whatever_their_unicode_form(tmp_path):
    rows = [{"image": f"{name}.nii.gz", "masks": {"x": "x.nrrd"}} for name in ("Mu\u0308ller", "P01", "p01", "a,b")]
    volume(tmp_path / "x.nrrd")
    data = manifest(tmp_path, rows)
    assert len(select_cases(data, "m\u00fcller").cases) == 1
    assert [case.id for case in select_cases(data, "p01").cases] == ["p01"]
    assert [case.id for case in select_cases(data, '"a,b"').cases] == ["a,b"]
    with pytest.raises(UnknownNameError):
        select_cases(data, "p\uff101")  # both would fit


def unwanted(folder, values, maps, form="row"):
    rows = []
    for number, array in enumerate(maps):
        path = volume(folder / f"l{number}.nrrd", array).name
        rows.append({"image": f"i{number}.nii.gz", "label": path} | ({"values": values} if form == "row" else {}))
    return manifest(folder, rows, **({"labels": values} if form == "data set" else {}))


def test_row_that_names_only_the_wanted_value_is_no_doubt(tmp_path):
    data = unwanted(tmp_path, "1=liver", [LABELS] * 5)
    assert {item.verdict for item in check_data(data)} == {"ok"}


INSTEAD = np.where(LABELS == 1, 7, LABELS)
BESIDE = np.where(np.arange(32).reshape(GRID.shape) < 3, 7, LABELS)


@pytest.mark.parametrize(("form", "odd"), [("row", INSTEAD), ("row", BESIDE), ("data set", INSTEAD)])
def test_odd_value_of_a_few_cases_is_told(tmp_path, form, odd):
    table = {"1": "liver"} if form == "row" else {"1": "liver", "2": "spleen"}
    data = unwanted(tmp_path, table, [LABELS, odd, LABELS, odd, LABELS], form)
    found = check_data(data)
    assert [item.verdict for item in found] == ["ok", "warning", "ok", "warning", "ok"]
    assert "7" in found[1].message
    reader = CaseReader(data)
    for case in data.cases:
        reader.read(case)
    reader.finish()
    assert reader.counts["unnamed-values"] == 2


@pytest.mark.parametrize("form", ["segments", "mask", "values"])
def test_a_name_that_steers_a_terminal_is_tamed_where_it_enters_and_its_voxels_are_found(tmp_path, form):
    name = "\x1b[31mliver\u202e"
    row = {"image": "b\u202e.nii.gz", "case": "b\x07", "patient": "p\x1b[2J"}
    if form == "segments":
        row["label"] = segments(tmp_path / "b.seg.nrrd", name).name
    elif form == "mask":
        row["masks"] = {name: volume(tmp_path / "m.nrrd", LABELS == 1).name}
    else:
        row |= {"label": volume(tmp_path / "l.nrrd").name, "values": {"1": name}}
    data = manifest(tmp_path, [row])
    assert data.names == ("_[31mliver",)
    assert (data.cases[0].id, data.cases[0].patient) == ("b_", "p_[2J")
    found = restrict_labels(data, [StructureSpec("liver", data.names[0])])
    np.testing.assert_array_equal(read_case(found.cases[0])[1][data.names[0]], LABELS == 1)
    assert select_cases(data, "b\x07").cases == data.cases
