from __future__ import annotations

import pickle

import pytest

from IncrementalSegLib import errors
from IncrementalSegLib.errors import (
    CommandRef,
    Hint,
    IncrementalSegError,
    OptionRef,
    UnknownNameError,
    explain,
    phrased,
)


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        (("The file is empty.",), "The file is empty."),
        (("A.", "B.", "C."), "A. B. C."),
        (("A.", "", "C."), "A. C."),
    ],
)
def test_message_joins_the_parts_that_are_there(parts, text):
    error = IncrementalSegError(*parts)
    assert str(error) == text
    assert (error.what, error.why, error.todo) == (*parts, *[""] * (3 - len(parts)))


def test_every_error_is_shown_to_a_person():
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    assert len(kinds) >= 8
    assert all(issubclass(kind, IncrementalSegError) for kind in kinds)


def test_bad_geometry_is_bad_data():
    assert issubclass(errors.GeometryError, errors.DataError)


@pytest.mark.parametrize(
    ("name", "known", "text"),
    [
        ("Lungg", ["liver", "Lung"], "There is no structure called 'Lungg'. Did you mean 'Lung'? Known: Lung, liver."),
        ("xyzzy", ["liver", "Lung"], "There is no structure called 'xyzzy'. Known: Lung, liver."),
        ("liver", [], "There is no structure called 'liver'. Known: none."),
    ],
)
def test_unknown_name_lists_the_known_and_the_nearest(name, known, text):
    message = str(UnknownNameError("structure", name, known))
    assert message == text


def test_of_very_many_names_only_the_nearest_are_listed():
    message = str(UnknownNameError("case", "scan_17", [f"scan_{number}" for number in range(500)]))
    assert "Did you mean 'scan_17'?" in message
    assert message.endswith(" and 495 more.")
    assert message.count("scan_") == 7


def test_unknown_name_takes_any_iterable_and_a_reason():
    error = UnknownNameError("method", "lwfsegg", iter(["lwfseg"]), "Its file is broken.")
    assert (
        str(error) == "There is no method called 'lwfsegg'. Its file is broken. Did you mean 'lwfseg'? Known: lwfseg."
    )


@pytest.mark.parametrize(
    "error",
    [
        IncrementalSegError("A.", "B.", "C."),
        UnknownNameError("method", "lwfsegg", ["lwfseg", "reseg"], "It is broken."),
        IncrementalSegError("A.", "B.", Hint("Use ", OptionRef("device", "cpu"), ".")),
    ],
)
def test_error_survives_the_way_out_of_a_data_loader_process(error):
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert (again.what, again.why, again.todo) == (error.what, error.why, error.todo)


HINT = Hint("Replace it with ", OptionRef("overwrite", True), ", or see ", CommandRef("doctor"), ".")


def test_each_front_end_says_a_hint_in_its_own_words():
    error = IncrementalSegError("It is there.", todo=HINT)
    assert str(error) == "It is there. Replace it with overwrite=True, or see doctor()."
    assert (
        error.phrased(lambda step: type(step).__name__) == "It is there. Replace it with OptionRef, or see CommandRef."
    )
    assert phrased("Plain.", str) == "Plain."


def test_a_hint_goes_over_the_wire_and_out_of_a_process():
    for again in (Hint.from_json(HINT.to_json()), pickle.loads(pickle.dumps(HINT))):
        assert (again, again.parts) == (HINT, HINT.parts)
    newer = [*HINT.to_json(), {"press": {"key": "F1"}}]
    assert Hint.from_json(newer) == HINT, "what a newer worker names is left out"


def test_a_path_with_braces_stays_as_it_is():
    assert Hint("Look into {a}.") == "Look into {a}."


def test_a_path_that_the_system_refuses_is_no_fault_of_the_program(tmp_path):
    with pytest.raises(OSError, match="too long") as found:
        (tmp_path / ("x" * 400)).stat()
    error = explain(found.value)
    assert len(error.what) < 330
    assert error.what.endswith("x... cannot be used.")
    assert "File name too long" in error.why
    assert "Check the path" in error.todo
    assert "fault of the program" in explain(FileNotFoundError(2, "No such file", "a")).why
