"""One registry for everything that can be added as one file: methods, networks, descriptors, readers.

    @register("method", "finetune")
    class Finetune(Method): ...

    find("method", "finetune")

A file that cannot be imported does not take the others down: its reason is kept and shown when its
name is asked for.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Collection
from typing import Any, TypeVar

from IncrementalSegLib.errors import OptionError, UnknownNameError

T = TypeVar("T")

_entries: dict[str, dict[str, Any]] = {}
_broken: dict[str, dict[str, str]] = {}
_homes = {
    "method": "IncrementalSegLib.methods",
    "network": "IncrementalSegLib.networks.trunks",
    "branch": "IncrementalSegLib.networks.branches",
    "output": "IncrementalSegLib.networks.outputs",
    "descriptor": "IncrementalSegLib.exemplars.descriptors",
}


def register(kind: str, name: str) -> Callable[[T], T]:
    """Register the decorated object under ``name``.

    Raises:
        OptionError: The name is taken by another object.
    """

    def add(entry: T) -> T:
        taken = _entries.setdefault(kind, {})
        if name in taken and _place(taken[name]) != _place(entry):  # a reloaded file replaces its own entry
            raise OptionError(f"The {kind} name {name!r} is taken.", todo="Choose another name.")
        taken[name] = entry
        if isinstance(entry, type):
            entry.registered_name = name  # type: ignore[attr-defined]
        return entry

    return add


def find(kind: str, name: str, offered: Collection[str] | None = None) -> Any:
    """Return the object registered as ``name``.

    Args:
        kind: Kind of the object.
        name: Its name.
        offered: Names that the message of an error lists; by default all.

    Raises:
        UnknownNameError: No such name; the message lists the known ones, the nearest match and, where
            the file of that name could not be imported, the reason.
    """
    discover(kind)
    known = _entries.get(kind, {})
    if name in known:
        return known[name]
    broken = "; ".join(f"{file}: {reason}" for file, reason in _broken.get(kind, {}).items())
    raise UnknownNameError(
        kind,
        name,
        known if offered is None else offered,
        f"Files that could not be imported: {broken}." if broken else "",
    )


def names(kind: str) -> list[str]:
    """Return the registered names of ``kind``, sorted."""
    discover(kind)
    return sorted(_entries.get(kind, {}))


def discover(kind: str) -> dict[str, str]:
    """Import every file of the folder that holds ``kind``.

    Returns:
        File name (without ending) -> reason, for the files that could not be imported.
    """
    if kind not in _homes:
        return {}
    home = importlib.import_module(_homes[kind])
    broken = _broken.setdefault(kind, {})
    for module in pkgutil.iter_modules(getattr(home, "__path__", [])):
        if module.name in broken:
            continue
        try:
            importlib.import_module(f"{home.__name__}.{module.name}")
        except Exception as error:  # any fault of a plug-in file is that file's alone
            broken[module.name] = f"{type(error).__name__}: {error}"
    return dict(broken)


def _place(entry: object) -> tuple[str, str]:
    return getattr(entry, "__module__", ""), getattr(entry, "__qualname__", repr(entry))
