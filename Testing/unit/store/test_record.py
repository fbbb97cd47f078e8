"""Records survive JSON, and a damaged one says which field is wrong."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from IncrementalSegLib.errors import ModelError
from IncrementalSegLib.store.record import VersionRecord
from IncrementalSegLib.structures import Structure, StructureList

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
objects = st.dictionaries(st.text(), values, max_size=3)
byte = st.integers(0, 255)
structures = st.lists(
    st.builds(
        Structure,
        id=st.uuids().map(lambda item: item.hex),
        name=st.text(min_size=1),
        step=st.integers(1, 99),
        color=st.tuples(byte, byte, byte),
        terminology=st.none() | st.text(),
    ),
    unique_by=(lambda item: item.id, lambda item: item.name.casefold()),
    max_size=4,
).map(lambda items: StructureList(tuple(items)))
records = st.builds(
    VersionRecord,
    number=st.integers(1, 9999),
    parent=st.none() | st.integers(1, 9999),
    kind=st.sampled_from(["step", "edit"]),
    created=st.datetimes().map(lambda time: time.isoformat()),
    accepted=st.booleans(),
    held_back_by=st.lists(st.text(), max_size=2).map(tuple),
    output=st.sampled_from(["heads", "classes"]),
    structures=structures,
    architecture=objects,
    preprocessing=objects,
    step=objects,
    libraries=objects,
    scores=objects,
    seconds=st.floats(0, 1e7),
)


@given(records)
def test_round_trip(record: VersionRecord) -> None:
    assert VersionRecord.from_json(json.loads(json.dumps(record.to_json()))) == record


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("number", "1"),
        ("number", True),
        ("parent", -1),
        ("kind", "training"),
        ("kind", []),
        ("created", None),
        ("accepted", 1),
        ("held_back_by", "humerus"),
        ("output", None),
        ("structures", [{"id": "x"}]),
        ("structures", [{"id": "x", "name": "a", "step": 1, "color": [0, 0, 256], "terminology": None}]),
        ("structures", [{"id": i, "name": n, "step": 1, "color": [0, 0, 0]} for i, n in (("x", "A"), ("y", "a"))]),
        ("architecture", []),
        ("scores", None),
        ("seconds", float("nan")),
    ],
)
def test_wrong_field_is_named(field: str, value: object) -> None:
    data = VersionRecord(structures=StructureList(), architecture={}, preprocessing={}).to_json()
    with pytest.raises(ModelError, match=f"'{field}'"):
        VersionRecord.from_json({**data, field: value})
    del data[field]
    with pytest.raises(ModelError, match=f"lacks '{field}'"):
        VersionRecord.from_json(data)


def test_fields_of_the_future_are_left_out() -> None:
    record = VersionRecord(structures=StructureList(), architecture={}, preprocessing={})
    assert VersionRecord.from_json({**record.to_json(), "mood": "good"}) == record
    assert {"python", "torch", "monai", "simpleitk"} <= set(record.libraries)
