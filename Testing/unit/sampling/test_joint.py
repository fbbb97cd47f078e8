"""Several data sets as one: what was looked for in each, names that meet, and lists that do not fit."""

import pytest

from IncrementalSegLib.errors import DataError, OptionError, UnknownNameError
from IncrementalSegLib.sampling.cases import Case, Dataset
from IncrementalSegLib.sampling.joint import open_joint
from IncrementalSegLib.structures import StructureSpec
from IncrementalSegLib.volumes.notes import Note


def dataset(tmp_path, name, labels, ids=("p1", "p2"), looked_for=None):
    values = {label: (value,) for value, label in enumerate(labels, 1)}
    cases = tuple(
        Case(case, case, (tmp_path / f"{name}-{case}.nii.gz",), frozenset(looked_for or labels), values=values)
        for case in ids
    )
    return Dataset(name, tmp_path, tuple(labels), cases, {ids[0]: (Note("kind", f"a note on {name}"),)})


def looked_for(joint):
    return {case.id: set(case.looked_for) for case in joint.cases}


def test_one_list_is_read_where_each_data_set_names_it(tmp_path):
    sets = [dataset(tmp_path, "A", ["liver", "spleen"], ["a1"]), dataset(tmp_path, "B", ["Spleen", "kidney"], ["b1"])]
    joint, wanted, meanings = open_joint(sets, "spleen, liver, kidney")
    assert looked_for(joint) == {"a1": {"liver", "spleen"}, "b1": {"spleen", "kidney"}}
    assert [item.name for item in wanted] == ["spleen", "liver", "kidney"]
    assert meanings == {"liver": "liver", "spleen": "spleen", "kidney": "kidney"}
    assert (joint.name, {case.source for case in joint.cases}) == ("A + B", {"A", "B"})


def test_each_data_set_may_have_its_own_list_and_labels(tmp_path):
    sets = [dataset(tmp_path, "A", ["hepar", "spleen"], ["a1"]), dataset(tmp_path, "B", ["liver"], ["b1"])]
    joint, wanted, meanings = open_joint(sets, ["Liver=hepar", [StructureSpec("liver", "liver")]])
    assert looked_for(joint) == {"a1": {"hepar"}, "b1": {"liver"}}  # the spleen is unknown in both
    assert [item.name for item in wanted] == ["Liver"]
    assert meanings == {"hepar": "Liver", "liver": "liver"}


def test_cases_of_one_name_are_kept_apart_and_their_notes_with_them(tmp_path):
    sets = [dataset(tmp_path, "A", ["liver"]), dataset(tmp_path, "A", ["liver"], ["p1", "p3"])]
    joint, _, _ = open_joint(sets, "liver")
    assert [case.id for case in joint.cases] == ["A 2 p1", "A p1", "p2", "p3"]
    assert [case.source for case in joint.cases] == ["A 2", "A", "A", "A 2"]
    assert {case.patient for case in joint.cases} == {"p1", "p2", "p3"}  # perhaps one person: never on both sides
    assert set(joint.notes) == {"A p1", "A 2 p1"}


def test_cases_are_chosen_among_all(tmp_path):
    sets = [dataset(tmp_path, "A", ["liver"], ["a1", "a2"]), dataset(tmp_path, "B", ["liver"], ["b1", "b2"])]
    joint, _, _ = open_joint(sets, "liver", "a2, b1")
    assert [case.id for case in joint.cases] == ["a2", "b1"]


def test_one_data_set_is_what_it_always_was(tmp_path):
    alone = dataset(tmp_path, "A", ["liver", "spleen"])
    joint, _, _ = open_joint(alone, "liver")
    assert {case.source for case in joint.cases} == {""}
    assert joint == open_joint([alone], ["liver"])[0]


@pytest.mark.parametrize(
    ("structures", "error", "message"),
    [
        ("liver", DataError, "'B' names none of liver.*Nothing was looked for"),
        ("liver, tibia", UnknownNameError, "no label called 'tibia'"),
        (["liver", "kidney", "kidney"], OptionError, "2 data sets and 3 lists"),
        (["bowl=spleen", "bladder=spleen"], OptionError, "means 'bowl' in one data set and 'bladder' in another"),
        (["liver", ""], OptionError, r"List 2 of the 2 lists of structures is empty.*Nothing would be looked for"),
        (["liver", " , "], OptionError, "List 2 of the 2 lists"),
        (["liver", "liver"], UnknownNameError, "no label called 'liver'"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, structures, error, message):
    sets = [dataset(tmp_path, "A", ["liver", "spleen"], ["a1"]), dataset(tmp_path, "B", ["spleen"], ["b1"])]
    with pytest.raises(error, match=message):
        open_joint(sets, structures)


def test_a_manifest_in_which_nothing_was_looked_for_is_refused(tmp_path):
    sets = [dataset(tmp_path, "A", ["liver"], ["a1"]), dataset(tmp_path, "B", ["liver"], ["b1"], looked_for=["other"])]
    with pytest.raises(DataError, match="looked for in none of the 1 cases"):
        open_joint(sets, "liver")


@pytest.mark.parametrize(("other", "said"), [("Liver", "'liver' = 'Liver'"), ("liver", "")])
def test_labels_that_differ_in_letter_case_are_one_and_said(tmp_path, caplog, other, said):
    caplog.set_level("INFO", "IncrementalSegLib")
    sets = [dataset(tmp_path, "a", ["liver", "Spleen"]), dataset(tmp_path, "b", [other, "spleen"])]
    found, wanted, _ = open_joint(sets, "liver")
    assert [item.name for item in wanted] == ["liver"]
    assert {name for case in found.cases for name in case.looked_for} == {"liver"}
    assert [record.getMessage().partition("one: ")[2] for record in caplog.records] == ([f"{said}."] if said else [])
