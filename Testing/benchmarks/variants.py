"""Methods with options, and bounds, by name.

A name may contain options, as in ``pcdd+lambda_orcd=0+lambda_crcd=0``, so an ablation is a list of names.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from IncrementalSegLib.engine.correct import PROPAGATE_ONLY
from IncrementalSegLib.engine.step.request import build_method
from IncrementalSegLib.errors import OptionError, UnknownNameError
from IncrementalSegLib.exemplars.selection import SelectionOptions
from IncrementalSegLib.registry import discover, find, names
from IncrementalSegLib.types import Json
from Testing.benchmarks.protocol import Protocol

BOUNDS = {
    "offline": "everything at once, all labelled, with the steps of all stages",
    "separate": "a model of its own for each stage, or for each source of a stage",
}
"""They are not methods; a method of the same name has precedence, unless each method begins its own models."""

OF_BOUNDS = "finetune"
"""Method of the bounds where each method begins its own models: nothing is kept, and structures may overlap."""

_OF_EXEMPLARS = set(SelectionOptions.model_fields) | {"descriptor_weights"}

_SAME_RATE: Json = {"later_rate": 1.0, "warmup": 0.0, "new_rate": 1.0}
"""Later steps learn as the first one does: settings of results from before there were these options."""

_OF_LATER_STEPS = _SAME_RATE.keys() | {"norm"}
"""Options that do not affect a model's first step."""


@dataclass(frozen=True)
class Variant:
    """A method, or a bound, with its options.

    Attributes:
        name: Name in tables and results.
        method: Registered name of the method, or name of the bound.
        bound: Whether it is a bound.
        begins: Registered name of the method of a model's first step.
        options: All options that affect the training.
        beginning: Those that affect a model's first step.
        exemplars: Whether a stage keeps exemplars for the next.
    """

    name: str
    method: str
    bound: bool
    begins: str
    options: Json
    beginning: Json
    exemplars: bool


def find_variants(text: str | None, protocol: Protocol) -> list[Variant]:
    """Read ``"offline,mib,pcdd+lambda_ll=0"``; by default the methods of the protocol.

    Raises:
        UnknownNameError: No such method or option.
        OptionError: No method is named, or an option is incomplete, repeated, invalid or without effect.
    """
    chosen = protocol.methods if text is None else [part.strip() for part in text.split(",") if part.strip()]
    if not chosen:
        raise OptionError(f"{text!r} names no method.", todo="Name some, or leave --methods out for all.")
    return [_variant(item, protocol) for item in dict.fromkeys(chosen)]


def family(first: str) -> list[str]:
    """Return the methods that can follow the first step ``first``; all where each begins its own models."""
    if not first:
        return list(names("method"))
    output = find("method", first).output
    return [name for name in names("method") if find("method", name).output == output]


def method_of(name: str) -> str:
    """Return the method, or the bound, of which ``METHOD+OPTION=VALUE`` is a variant."""
    return name.partition("+")[0]


def display_name(name: str) -> str:
    """Return the name of a variant in tables and plots.

    No protocol has ImageNet weights, so the content of ``coriseg`` is described by the trunk of the model, and not by
    VGG16 as in the paper.
    """
    return name.replace("coriseg", "coriseg (trunk)", 1)


def in_order(variants: Iterable[str], methods: Sequence[str]) -> list[str]:
    """Sort names for a table: in the order of the methods, other names last, variants after their method."""
    places = {name: place for place, name in enumerate(methods)}
    return sorted(variants, key=lambda name: (places.get(method_of(name), len(places)), name))


def _variant(text: str, protocol: Protocol) -> Variant:
    method, *pairs = text.split("+")
    first, bounds = protocol.first, BOUNDS if protocol.session is None else {PROPAGATE_ONLY: "nothing is learned"}
    known = list(dict.fromkeys((*family(first), *protocol.beginners)))
    bound = method in bounds and (not first or method not in known)
    if not bound and method not in known:
        why = "; ".join(f"{file}: {reason}" for file, reason in discover("method").items())
        if method in names("method"):
            why = f"{method!r} makes {find('method', method).output}, and this protocol compares methods of another."
        raise UnknownNameError("method of the benchmark", method, dict.fromkeys((*bounds, *known)), why)
    given: dict[str, str] = {}
    for pair in sorted(pairs):
        name, equals, value = pair.partition("=")
        if not equals:
            raise OptionError(f"{text!r} has an option without a value.", todo="Write METHOD+OPTION=VALUE.")
        if name in given:
            raise OptionError(f"{text!r} names {name} twice.", todo="Name it once.")
        if name in _OF_EXEMPLARS:
            raise OptionError(
                f"{text!r}: {name} changes nothing here.",
                "It says which exemplars are kept; the protocol decides that.",
                "Leave it out.",
            )
        given[name] = value
    built = build_method((first or OF_BOUNDS) if bound else method, given)
    needs = frozenset() if bound else built.required()
    remembers = any(need.startswith("memory:") for need in needs)
    rehearses = "exemplars" in needs
    own = not first or method in protocol.beginners or remembers or (rehearses and not protocol.exemplars)
    begins = method if own and not bound else first or OF_BOUNDS
    options = built.options.model_dump(mode="json", exclude=_OF_EXEMPLARS)
    options = {name: value for name, value in options.items() if value != _SAME_RATE.get(name)}
    shared = find("method", begins).Options.model_fields.keys() - _OF_LATER_STEPS
    beginning = {name: value for name, value in options.items() if name in shared}
    return Variant(
        "+".join((method, *(f"{name}={value}" for name, value in given.items()))),
        method,
        bound,
        begins,
        options,
        beginning,
        exemplars=rehearses if own else protocol.exemplars,
    )
