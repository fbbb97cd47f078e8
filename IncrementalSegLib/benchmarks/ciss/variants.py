"""What is compared: methods with their options, and the two bounds.

A name may carry options, ``pcdd+lambda_orcd=0+lambda_crcd=0``: so an ablation is a list of names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from IncrementalSegLib.engine.step.request import build_method
from IncrementalSegLib.errors import OptionError, UnknownNameError
from IncrementalSegLib.methods.base.method import MethodOptions
from IncrementalSegLib.registry import discover, find, names
from IncrementalSegLib.types import Json

FIRST = "finetune-softmax"
"""Trains what begins a model: there, methods of the class family differ in nothing but the soft Dice term."""

BOUNDS = {
    "offline": "everything at once, all labelled, with the steps of all stages",
    "separate": "a model of its own for each stage",
}

_ORDER = (
    *BOUNDS, FIRST, "lwf", "ilt", "pseudo-label", "mib", "plop", "sdr", "reminder", "conuseg", "inseg", "pcdd",
)  # fmt: skip


@dataclass(frozen=True)
class Variant:
    """A method, or a bound, with its options.

    Attributes:
        name: As it is written in tables and file names.
        method: Registered name of the method, or name of the bound.
        options: All options that change the training.
    """

    name: str
    method: str
    options: Json

    @property
    def beginning(self) -> Json:
        """The options that count where a model begins."""
        return {
            name: value for name, value in self.options.items() if name in find("method", FIRST).Options.model_fields
        }


def find_variants(text: str | None) -> list[Variant]:
    """Read ``"offline,mib,pcdd+lambda_ll=0"``; by default both bounds and all methods of the class family.

    Raises:
        UnknownNameError: No such method or option.
        OptionError: Nothing is named, an option has no value, two, or one that cannot be used, or it changes nothing.
    """
    known = class_methods()
    chosen = [*BOUNDS, *known] if text is None else [part.strip() for part in text.split(",") if part.strip()]
    if not chosen:
        raise OptionError(f"{text!r} names no method.", todo="Name some, or leave --methods out for all.")
    return [_variant(item, known) for item in dict.fromkeys(chosen)]


def method_of(name: str) -> str:
    """Return the method, or the bound, of which ``METHOD+OPTION=VALUE`` is a variant."""
    return name.partition("+")[0]


def class_methods() -> list[str]:
    """Return the registered methods with one growing softmax, in the order of the tables."""
    return in_order([name for name in names("method") if find("method", name).output == "classes"])


def in_order(variants: Sequence[str]) -> list[str]:
    """Sort names for a table: the bounds, the methods as they build on each other, variants beside their method."""

    def place(name: str) -> tuple[int, str]:
        method = method_of(name)
        return _ORDER.index(method) if method in _ORDER else len(_ORDER), name

    return sorted(variants, key=place)


def _variant(text: str, known: Sequence[str]) -> Variant:
    method, *pairs = text.split("+")
    if method not in (*BOUNDS, *known):
        broken = discover("method")
        why = "; ".join(f"{file}: {reason}" for file, reason in broken.items())
        if method in names("method"):
            why = (
                f"{method!r} makes {find('method', method).output}, and this benchmark compares methods of one softmax."
            )
        raise UnknownNameError("method of the benchmark", method, (*BOUNDS, *known), why)
    given = {}
    for pair in sorted(pairs):
        name, equals, value = pair.partition("=")
        if not equals:
            raise OptionError(f"{text!r} has an option without a value.", todo="Write METHOD+OPTION=VALUE.")
        if name in given:
            raise OptionError(f"{text!r} names {name} twice.", todo="Name it once.")
        if name in MethodOptions.model_fields:
            raise OptionError(
                f"{text!r}: {name} changes nothing here.",
                "It says which exemplars are kept, and no chain keeps any.",
                "Leave it out.",
            )
        given[name] = value
    built = build_method(FIRST if method in BOUNDS else method, given)
    options = built.options.model_dump(mode="json", exclude=set(MethodOptions.model_fields))
    return Variant("+".join((method, *(f"{name}={value}" for name, value in given.items()))), method, options)
