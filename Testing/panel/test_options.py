"""Fields made of the JSON schema of every method: what can be typed, and what is sent."""

import math

import pytest
from IncrementalSegPanel.documents.Options import Answers, Field, fieldsOf
from IncrementalSegPanel.flows.StepOptions import FIRST, SETTINGS, StepOptions, settingsOf

from IncrementalSegLib.engine.settings import StepSettings, settings_schema
from IncrementalSegLib.errors import OptionError
from IncrementalSegLib.evaluation.limits import Limits
from IncrementalSegLib.methods.base.catalogue import catalogue

METHODS = {item["name"]: item["schema"] for item in catalogue()["methods"]}


@pytest.mark.parametrize("name", METHODS)
def test_every_option_of_every_method_becomes_a_field(name):
    fields = fieldsOf(METHODS[name])
    assert [field.name for field in fields] == list(METHODS[name]["properties"])
    for field in fields:
        assert field.kind in ("boolean", "integer", "number", "string"), field
        assert field.description, field
        assert "\n" not in field.description
        assert field.default is None or not field.choices or field.default in field.choices
        if not field.choices and field.default is not None:
            assert field.parse(field.word(field.default)) == field.default


@pytest.mark.parametrize("name", METHODS)
def test_what_is_typed_is_what_the_library_takes(name):
    from IncrementalSegLib.engine.step.request import build_method

    answers = Answers()
    for field in fieldsOf(METHODS[name]):
        if field.choices:
            answers.choose(field, field.choices[-1])
        elif field.kind != "string":
            answers.type(field, field.word(field.default))
    built = build_method(name, answers.values).options.model_dump()
    assert {key: built[key] for key in answers.values} == answers.values


def test_a_field_left_alone_is_not_sent():
    answers = Answers()
    passes = next(field for field in fieldsOf(METHODS["aeiseg"]) if field.name == "passes")
    assert answers.values == {}
    answers.type(passes, "5")
    assert answers.values == {"passes": 5}
    answers.type(passes, "  ")
    assert answers.values == {}


@pytest.mark.parametrize(
    ("schema", "text", "word"),
    [
        ({"type": "integer", "minimum": 2}, "1", "2 or more"),
        ({"type": "integer"}, "2.5", "whole number"),
        ({"type": "integer"}, "many", "whole number"),
        ({"type": "number", "minimum": 0, "exclusiveMaximum": 1}, "1", "less than 1"),
        ({"type": "number", "exclusiveMinimum": 0}, "0", "more than 0"),
        ({"type": "number", "maximum": 1}, "1.1", "at most 1"),
        ({"type": "number"}, "nan", "number"),
        ({"type": "number"}, "inf", "number"),
    ],
)
def test_a_bad_value_says_why(schema, text, word):
    field = Field.of("share_of_it", schema)
    with pytest.raises(OptionError, match=word):
        field.parse(text)
    answers = Answers()
    answers.type(field, text)
    assert word in answers.faults["share_of_it"]
    assert answers.values == {}
    answers.leave(field)
    assert answers.faults == {}


def test_a_comma_is_a_decimal_sign():
    assert math.isclose(Field.of("alpha", {"type": "number"}).parse("0,3"), 0.3)


def test_an_optional_value_has_the_bounds_of_its_type():
    field = Field.of("weights", {"anyOf": [{"type": "integer", "minimum": 3}, {"type": "null"}], "default": None})
    assert (field.kind, field.least, field.default, field.word(field.default)) == ("integer", 3, None, "automatic")


def test_another_method_begins_with_its_own_options():
    stepOptions = StepOptions()
    stepOptions.chooseMethod("aeiseg")
    stepOptions.options.values["keep"] = 3
    stepOptions.chooseMethod("aeiseg")
    assert stepOptions.arguments(None)["options"] == {"keep": 3}
    stepOptions.chooseMethod("lwfseg")
    assert stepOptions.arguments(None) == {"method": "lwfseg", "exemplars": "keep"}


def test_what_is_left_alone_is_decided_by_the_worker():
    stepOptions = StepOptions()
    assert stepOptions.arguments(None) == {"exemplars": "keep"}
    assert stepOptions.arguments("mib")["method"] == "mib"


def test_settings_are_asked_for_as_the_library_declares_them():
    found = {field.name: field for field in settingsOf(settings_schema(), first=True)}
    assert tuple(found) == SETTINGS + FIRST
    assert all(field.title and field.description for field in found.values())
    assert found["preset"].choices == ("quick", "standard", "paper")
    assert found["network"].choices == (
        "nnunet2d", "nnunet3d", "resunet3d", "unet2d", "unet2d-bayes", "unet3d", "unet3d-bayes"
    )  # fmt: skip
    assert (found["steps"].least, found["seed"].least, found["limits.harm"].most) == (1, 0, 100)
    assert [field.name for field in settingsOf(settings_schema(), first=False)] == list(SETTINGS)


def test_limits_are_those_of_the_gate():
    harm = next(field for field in settingsOf(settings_schema(), first=False) if field.name == "limits.harm")
    stepOptions = StepOptions()
    stepOptions.settings.type(harm, "0.5")
    assert stepOptions.arguments(None)["limits"] == {"harm": 0.5}
    assert StepSettings(**stepOptions.arguments(None)).limits == Limits(harm=0.5, unsure=0.5)
