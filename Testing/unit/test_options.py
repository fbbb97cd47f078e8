"""Options that are declared once: the call that is made of a declaration, and what it refuses."""

import inspect
from dataclasses import KW_ONLY
from typing import Annotated

import pytest
from pydantic import Field
from pydantic.dataclasses import dataclass

from IncrementalSegLib.errors import OptionError, UnknownNameError
from IncrementalSegLib.options import CONFIG, Options, called_with


@dataclass(frozen=True, config=CONFIG)
class Bake(Options):
    """How a loaf is baked."""

    flour: Annotated[str, Field(description="What it is made of.")]
    _: KW_ONLY
    minutes: Annotated[int, Field(ge=1, description="How long it stays in the oven.")] = 40


@called_with(Bake)
def bake(call: Bake) -> str:
    """Bake a loaf.

    Returns:
        What came out.
    """
    return f"{call.flour}, {call.minutes} minutes"


def test_the_call_is_that_of_the_declaration():
    assert bake("rye", minutes=50) == "rye, 50 minutes"
    assert bake(flour="rye") == "rye, 40 minutes"
    assert str(inspect.signature(bake)) == "(flour: str, *, minutes: int = 40) -> str"


def test_the_help_stands_in_the_docstring():
    assert "minutes: How long it stays in the oven.\n\nReturns:" in inspect.getdoc(bake)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"minutes": 0}, OptionError, r"option minutes=0 cannot be used\. It should be greater than or equal to 1\."),
        (
            {"minuts": 1},
            UnknownNameError,
            r"no option called 'minuts'\. Did you mean 'minutes'\?",
        ),
        ({"minutes": "x" * 200}, OptionError, r"minutes='x+\.\.\. cannot be used\. It should be a valid integer"),
    ],
)
def test_what_cannot_be_used_is_refused(options, error, message):
    with pytest.raises(error, match=message):
        bake("rye", **options)


def test_a_call_with_too_few_or_too_many_arguments_is_refused():
    with pytest.raises(OptionError, match="option flour is missing"):
        bake()
    with pytest.raises(OptionError, match=r"argument 40 is one too many\. Give options by name"):
        bake("rye", 40)
