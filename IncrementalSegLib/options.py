"""Options that people set, each declared once: name, type, default, bounds and help.

A declaration is a pydantic dataclass.  Python's keywords, the command line, the worker and the panel's form are made
of it.
"""

from __future__ import annotations

import functools
import inspect
import textwrap
from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar, ParamSpec, TypeVar, cast, get_type_hints

from pydantic import ConfigDict, ValidationError, model_validator
from pydantic.dataclasses import dataclass
from pydantic.fields import FieldInfo

from IncrementalSegLib.errors import IncrementalSegError, OptionError, UnknownNameError

P = ParamSpec("P")
T = TypeVar("T")
R = TypeVar("R")


def title(name: str, _: object = None) -> str:
    """Return the name of an option as a form shows it.

    Example:
        >>> title("p_exemplar")
        'P exemplar'
    """
    return name.replace("_", " ").capitalize()


CONFIG = ConfigDict(
    extra="forbid",
    arbitrary_types_allowed=True,
    allow_inf_nan=False,
    field_title_generator=title,
)
"""Of every declaration: ``@dataclass(frozen=True, kw_only=True, config=CONFIG)``."""


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class Options:
    """Base of declarations.

    Raises:
        UnknownNameError: There is no such option.
        OptionError: A value that cannot be used.
    """

    group: ClassVar[str] = ""
    """The option that holds these as a group, or empty."""

    @model_validator(mode="wrap")
    @classmethod
    def _refuse(cls, values: Any, build: Callable[[Any], Options]) -> Options:
        try:
            return build(values)
        except ValidationError as error:
            raise refusal(error, fields_of(cls), group=cls.group) from None


def fields_of(declared: type) -> dict[str, FieldInfo]:
    """Return the options of a declaration by name, in its order."""
    return dict(declared.__pydantic_fields__)  # type: ignore[attr-defined]


def refusal(error: ValidationError, known: Iterable[str], owner: str = "", group: str = "") -> IncrementalSegError:
    """Return what pydantic found as an error that a person can act on.

    Args:
        error: What it found.
        known: Names of the options that exist.
        owner: Whose options they are, for example the name of a method.
        group: The option that holds them.
    """
    first = error.errors()[0]
    name = ".".join(filter(None, (group, *map(str, first["loc"][:1]))))  # what follows is a kind of a union
    of = f" of {owner}" if owner else ""
    if first["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        return UnknownNameError(f"option{of}", name, known)
    if first["type"].startswith("missing"):
        return OptionError(f"The option {name}{of} is missing.")
    if first["type"] == "unexpected_positional_argument":
        return OptionError(f"The argument {first['input']!r} is one too many.", todo="Give options by name.")
    value = repr(first["input"])
    value = value if len(value) <= _LONGEST else f"{value[: _LONGEST - 3]}..."
    wanted = first["msg"].removeprefix("Input ")
    return OptionError(f"The option {name}={value}{of} cannot be used.", todo=f"It {wanted}.")


_LONGEST = 80  # characters of a value in a message


def called_with(declared: Callable[P, T]) -> Callable[[Callable[[T], R]], Callable[P, R]]:
    """Let a function that takes a declaration be called with the options themselves.

    Type checkers, ``help()`` and :func:`inspect.signature` see every option with its type and default; the help of
    each is put into the docstring.  The attribute ``declared`` of the function is the declaration.

    Example:
        >>> @dataclass(frozen=True, kw_only=True, config=CONFIG)
        ... class Pair(Options):
        ...     first: int = 0
        ...     second: int = 0
        >>> @called_with(Pair)
        ... def add(call: Pair) -> int:
        ...     return call.first + call.second
        >>> add(first=1, second=2)
        3
    """

    def decorate(function: Callable[[T], R]) -> Callable[P, R]:
        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            return function(declared(*args, **kwargs))

        described = cast("Any", call)
        described.declared = declared
        parameters = list(_parameters(cast("type", declared)))
        returned = get_type_hints(function).get("return")
        described.__signature__ = inspect.Signature(parameters, return_annotation=returned)
        described.__annotations__ = {item.name: item.annotation for item in parameters} | {"return": returned}
        described.__doc__ = _documented(function, parameters, fields_of(cast("type", declared)))
        return call

    return decorate


def _parameters(declared: type) -> Iterator[inspect.Parameter]:
    """Yield the parameters of a declaration with their plain types."""
    hints = get_type_hints(declared)
    for item in inspect.signature(declared).parameters.values():
        default = item.default
        if repr(default) == "<factory>":
            default = fields_of(declared)[item.name].get_default(call_default_factory=True)
        yield item.replace(annotation=hints[item.name], default=default)


def _documented(
    function: Callable[..., object], parameters: Iterable[inspect.Parameter], fields: dict[str, FieldInfo]
) -> str:
    """Return the docstring of a function with the help of its options before what it returns."""
    text = inspect.getdoc(function) or ""
    lines = (f"{item.name}: {fields[item.name].description}" for item in parameters)
    listing = "\n".join(textwrap.fill(line, 110, initial_indent="    ", subsequent_indent="        ") for line in lines)
    head, mark, tail = text.partition("\n\nReturns:")
    return f"{head}\n\nArgs:\n{listing}{mark}{tail}"
