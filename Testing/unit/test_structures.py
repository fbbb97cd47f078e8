from __future__ import annotations

import json
import re

import pytest

from IncrementalSegLib.errors import ModelError, OptionError, UnknownNameError
from IncrementalSegLib.structures import Structure, StructureList, StructureSpec, names_in, parse_names, specs_of


@pytest.fixture
def learned() -> StructureList:
    return StructureList(
        tuple(Structure.create(name, step) for step, name in enumerate(("Liver", "spleen", "aorta"), 1))
    )


def test_create_gives_each_its_own_uuid_and_a_colour():
    first, second = Structure.create("liver", 1), Structure.create("liver", 1)
    assert re.fullmatch("[0-9a-f]{32}", first.id)
    assert first.id != second.id
    assert len(first.color) == 3
    assert all(0 <= value <= 255 for value in first.color)


@pytest.mark.parametrize("terminology", [None, "a~b^c~d"])
def test_json_returns_the_same_structure(terminology):
    structure = Structure("0" * 32, "Léber / 肝", 3, (1, 2, 255), terminology)
    assert Structure.from_json(json.loads(json.dumps(structure.to_json()))) == structure


def test_list_is_an_ordered_collection(learned):
    assert len(learned) == 3
    assert [item.name for item in learned] == list(learned.names) == ["Liver", "spleen", "aorta"]
    assert learned.ids == tuple(item.id for item in learned)


@pytest.mark.parametrize(("name", "held"), [("liver", True), ("SPLEEN", True), ("kidney", False), (3, False)])
def test_membership_has_no_regard_to_case(learned, name, held):
    assert (name in learned) is held


def test_named_and_by_id_find_the_same(learned):
    assert learned.named("AORTA") is learned.by_id(learned.ids[2]) is learned.items[2]


def test_what_is_not_there_is_refused_with_a_way_out(learned):
    with pytest.raises(UnknownNameError, match="Did you mean 'Liver'"):
        learned.named("livr")
    with pytest.raises(ModelError, match="f00"):
        learned.by_id("f00")


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (None, ("Liver", "spleen", "aorta")),
        (["aorta", "liver"], ("Liver", "aorta")),
        (["aorta", "AORTA"], ("aorta",)),
        ([], ()),
    ],
)
def test_select_keeps_the_order_of_the_list(learned, names, expected):
    assert learned.select(names).names == expected


def test_select_refuses_an_unknown_name(learned):
    with pytest.raises(UnknownNameError):
        learned.select(["liver", "kidney"])


def test_changes_leave_the_list_as_it_was(learned):
    kidney = Structure.create("kidney", 4)
    assert learned.with_new([kidney]).ids == (*learned.ids, kidney.id)
    assert learned.without("SPLEEN").names == ("Liver", "aorta")
    renamed = learned.renamed("liver", "Hepar")
    assert renamed.names == ("Hepar", "spleen", "aorta")
    assert renamed.ids == learned.ids
    assert learned.names == ("Liver", "spleen", "aorta")


def test_rename_may_change_the_case_but_not_take_a_name(learned):
    assert learned.renamed("Liver", "LIVER").names[0] == "LIVER"
    with pytest.raises(ModelError, match="already has"):
        learned.renamed("Liver", "Spleen")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("liver", [("liver", "liver")]),
        (" Femur , tibia=shin ", [("Femur", "Femur"), ("tibia", "shin")]),
        ("left kidney = kidney_left", [("left kidney", "kidney_left")]),
        ("tibia=", [("tibia", "tibia")]),
        ("a=b=c", [("a", "b=c")]),
    ],
)
def test_names_are_read(text, expected):
    assert parse_names(text) == [StructureSpec(*pair) for pair in expected]


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "empty name"), ("liver,", "empty name"), ("=shin", "empty name"), ("Liver,liver", "twice")],
)
def test_names_that_cannot_be_read_are_refused(text, message):
    with pytest.raises(OptionError, match=message):
        parse_names(text)


def test_a_label_is_refused_where_no_data_are_read():
    assert names_in('Femur, "left kidney"') == ["Femur", "left kidney"]
    with pytest.raises(OptionError, match=r"tibia=shin names a label of data.*Write tibia"):
        names_in("femur, tibia=shin")


def test_a_request_may_bring_terminology_and_colour():
    plain, own = StructureSpec("femur", "f").create(2), StructureSpec("femur", "f", "A~B", (1, 2, 3)).create(2)
    assert (own.name, own.step, own.terminology, own.color) == ("femur", 2, "A~B", (1, 2, 3))
    assert plain.terminology
    assert plain.terminology != own.terminology


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: StructureSpec("a,b", "x"), "cannot be the name"),
        (lambda: StructureSpec("a;b", "x"), "cannot be the name"),
        (lambda: StructureSpec("  ", "x"), "cannot be the name"),
        (lambda: StructureSpec("a", "x", color=(0, 0, 256)), "colour of 'a'"),
        (lambda: specs_of([]), "No structure"),
        (lambda: specs_of([StructureSpec("a", "x"), StructureSpec("A", "y")]), "'a' is named twice"),
        (lambda: specs_of([StructureSpec("a", "x"), StructureSpec("b", "X")]), "label 'x' is given to two"),
    ],
)
def test_requests_that_cannot_be_met_are_refused(wrong, message):
    with pytest.raises(OptionError, match=message):
        wrong()
