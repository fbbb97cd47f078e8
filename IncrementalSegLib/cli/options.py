"""Options of commands, made of what the library declares."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import typer
from pydantic.fields import FieldInfo

from IncrementalSegLib.cli.words import flag
from IncrementalSegLib.options import Options, fields_of

_METAVARS = {
    "cases": "FILE|a,b,c", "judge": "DATA", "judge_structures": "NAMES", "method": "M", "network": "NAME",
    "option": "k=v", "text_embeddings": "FILE",
}  # fmt: skip
_KINDS: dict[Any, str] = {int: "N", float: "POINTS", Path: "FOLDER"}
_TYPED = (bool, int, float, str, Path)
_UNIONS = (Union, UnionType)


Command = Callable[..., None]


def takes(declared: type[Options], *, but: tuple[str, ...] = ()) -> Callable[[Command], Command]:
    """Replace ``**settings`` of a command by the options of a declaration.

    Args:
        declared: Its positional fields are for the command to declare; functions are left out.
        but: Options that the command does not have.
    """

    def decorate(command: Command) -> Command:
        hints = get_type_hints(command, include_extras=True)
        own = [
            item.replace(annotation=hints[item.name], kind=item.KEYWORD_ONLY)  # as typer calls it
            for item in inspect.signature(command).parameters.values()
            if item.kind is not item.VAR_KEYWORD
        ]
        made = {
            item.name: (path, item)
            for path, item in _parameters(declared)
            if path[0] not in but and item.name not in hints
        }

        @functools.wraps(command)
        def call(**given: Any) -> None:
            settings: dict[str, Any] = {}
            for name, (path, _) in made.items():
                _put(settings, path, given.pop(name))
            command(**given, **settings)

        first = [item for item in own if item.name in fields_of(declared) or item.default is item.empty]
        rest = [item for item in own if item not in first]
        parameters = [*first, *(item for _, item in made.values()), *rest]
        call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        call.__annotations__ = {item.name: item.annotation for item in parameters}
        return call

    return decorate


def words(declared: type[Options], settings: Mapping[str, Any]) -> list[str]:
    """Return what has to be written on the command line for settings to be as they are."""
    said: list[str] = []
    for path, item in _parameters(declared):
        value: Any = settings
        for name in path:
            value = value.get(name) if isinstance(value, Mapping) else None
        if value not in (None, item.default):
            said += [flag(*path), *([] if value is True else [str(value)])]
    return said


def parse_pairs(pairs: list[str]) -> dict[str, str]:
    """Read ``["alpha=0.3"]``.

    Raises:
        BadParameter: A pair has no equals sign.
    """
    options = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            raise typer.BadParameter(f"{pair!r} is not of the form k=v", param_hint="--option")
        options[name.strip()] = value.strip()
    return options


def _put(settings: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    """Set what was given; ``None`` leaves it to the library."""
    *groups, name = path
    for group in groups:
        settings = settings.setdefault(group, {})
    if value is not None:
        settings[name] = parse_pairs(value) if isinstance(value, list) else value


def _parameters(declared: type[Options], *groups: str) -> Iterator[tuple[tuple[str, ...], inspect.Parameter]]:
    """Yield the options that a person can type: where they belong, and as parameters for typer."""
    hints = get_type_hints(declared)
    for name, item in fields_of(declared).items():
        kind = _plain(hints[name])
        if isinstance(kind, type) and issubclass(kind, Options):
            yield from _parameters(kind, *groups, name)
        elif get_origin(kind) is Mapping:
            yield (*groups, name), _parameter(flag(name.removesuffix("s")), list[str], item)
        elif item.kw_only and (kind in _TYPED or get_origin(kind) is Literal):
            yield (*groups, name), _parameter(flag(*groups, name), kind, item)


def _plain(hint: Any) -> Any:
    """Return the type of what is typed; of a text and a path the path."""
    kinds = [kind for kind in get_args(hint) if kind is not NoneType] if get_origin(hint) in _UNIONS else [hint]
    return Path if Path in kinds else kinds[0]


def _parameter(spelled: str, kind: Any, item: FieldInfo) -> inspect.Parameter:
    bounds = {name: getattr(bound, name) for bound in item.metadata for name in ("ge", "le") if hasattr(bound, name)}
    name = spelled.removeprefix("--").replace("-", "_")
    option = typer.Option(
        spelled,
        help=item.description,
        metavar=_METAVARS.get(name, _KINDS.get(kind)),
        min=bounds.get("ge"),
        max=bounds.get("le"),
    )
    default = None if item.is_required() or item.default_factory is not None else item.default
    wanted: Any = kind if default is not None else Union[kind, None]  # noqa: UP007  (a type that is known only now)
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[wanted, option]
    )
