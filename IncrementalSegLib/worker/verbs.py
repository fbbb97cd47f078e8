"""Verbs of the worker: each is a function of the library, with the arguments of the function."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError

from IncrementalSegLib.errors import OptionError, UnknownNameError
from IncrementalSegLib.types import Json
from IncrementalSegLib.wire.lines import short

VERBS: dict[str, str] = {
    "segment": "engine.segment:segment",
    "spots": "engine.spots:spots",
    "suggest": "engine.suggest:suggest",
    "correct": "engine.correct:correct",
    "outline": "engine.learned:outline",
    "look_back": "engine.learned:look_back",
    "corrections": "engine.correct:corrections",
    "undo_correction": "engine.correct:undo_correction",
    "keep_corrections": "engine.correct:keep_corrections",
    "discard_corrections": "engine.correct:discard_corrections",
    "evaluate": "engine.scores.evaluate:evaluate",
    "learn": "engine.learn:learn",
    "resume": "engine.learn:resume",
    "give_up": "worker.handlers:give_up",
    "advise": "engine.planning.advice:advise",
    "estimate": "engine.planning.estimate:estimate",
    "gate": "engine.compare.retention:gate",
    "compare_pictures": "engine.compare.retention:compare_pictures",
    "check": "worker.handlers:check",
    "examples": "engine.examples:examples",
    "methods": "engine.forms:forms",
    "doctor": "engine.doctor:examine",
    "summary": "store.summary:read_summary",
    "versions": "worker.handlers:versions",
    "accept": "worker.handlers:accept",
    "reject": "worker.handlers:reject",
    "rollback": "worker.handlers:rollback",
    "diff": "engine.compare.records:diff",
    "rename": "worker.handlers:rename",
    "remove": "engine.exemplars:remove_structure",
    "exemplars": "engine.exemplars:overview",
    "thumbnails": "engine.exemplars:thumbnails",
    "pin": "engine.exemplars:pin",
    "ban": "engine.exemplars:ban",
    "budget": "engine.exemplars:budget",
    "remember": "engine.remember:remember_again",
    "export": "engine.packages.transfer:export_package",
    "import": "worker.handlers:import_",
    "adoptable": "engine.adoption.found:adoptable",
    "adopt": "worker.handlers:adopt_",
    "privacy": "engine.privacy.ledger:ledger",
    "strip": "engine.privacy.ledger:strip",
    "forget": "engine.privacy.ledger:forget",
}
"""Verb -> ``module:function`` below the library; imported when it is first asked for."""

INTERNAL = frozenset({"progress", "loader", "on_result", "on_validation", "watch"})
"""Parameters that hold functions; they do not come over the wire."""


def resolve(verb: str) -> Callable[..., Any]:
    """Return the function behind a verb.

    Raises:
        UnknownNameError: There is no such verb.
    """
    if verb not in VERBS:
        raise UnknownNameError("request", verb, VERBS)
    module, _, name = VERBS[verb].partition(":")
    function: Callable[..., Any] = getattr(import_module(f"IncrementalSegLib.{module}"), name)
    return function


def call(verb: str, arguments: Mapping[str, Any], given: Mapping[str, Any]) -> Json:
    """Do what a verb says.

    Args:
        verb: Its name.
        arguments: From the wire.
        given: What the worker itself hands to functions that have a parameter of that name.

    Returns:
        What the function returned, as a JSON object.

    Raises:
        UnknownNameError: There is no such verb or argument.
        OptionError: An argument is missing or has a value that cannot be used.
        Exception: What the function raises.
    """
    function = resolve(verb)
    wanted = inspect.signature(function).parameters
    own = {name: value for name, value in given.items() if name in wanted}
    result = function(**bind(verb, arguments), **own)
    return result if isinstance(result, dict) else result.to_json()


def bind(verb: str, arguments: Mapping[str, Any]) -> Json:
    """Check the arguments of a verb against its function, and return them with the types it wants.

    Raises:
        UnknownNameError: There is no such verb or argument.
        OptionError: An argument is missing or has a value that cannot be used.
    """
    function = resolve(verb)
    known = {name: item for name, item in inspect.signature(function).parameters.items() if name not in INTERNAL}
    for name in arguments:
        if name not in known:
            raise UnknownNameError(f"argument of {verb}", name, known)
    for name, item in known.items():
        if item.default is item.empty and name not in arguments:
            raise OptionError(f"The request {verb} lacks {name!r}.", todo=f"It takes {', '.join(known)}.")
    if (declared := getattr(function, "declared", None)) is not None:
        declared(**arguments)
        return dict(arguments)
    hints = get_type_hints(function)
    return {name: _fitted(verb, name, value, hints[name]) for name, value in arguments.items()}


def _fitted(verb: str, name: str, value: object, hint: Any) -> object:
    try:
        return TypeAdapter(hint, config=ConfigDict(arbitrary_types_allowed=True)).validate_python(value)
    except ValidationError as error:
        raise OptionError(
            f"The argument {name}={short(value)} of {verb} cannot be used: {error.errors()[0]['msg'].lower()}."
        ) from None
