"""Errors that a person can act on: what happened, the value seen, why, and what to do next."""

from __future__ import annotations

import difflib
import errno
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

_LONGEST_NAME = 300  # characters
_LONGEST_LISTING = 40  # names; of more only the nearest are listed
_NEAREST = 5
_OF_A_PATH = frozenset({errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EACCES, errno.EPERM})
"""Faults of a path that a person gave, and not of the program."""

INTACT = "What was saved before is intact."
"""All that holds whenever writing or memory fails: files are whole or not there, but some may be saved by then."""


@dataclass(frozen=True)
class OptionRef:
    """An option of what was asked, in a sentence; ``str`` says it as Python does.

    Attributes:
        name: Its name; of one in a group ``options.alpha``.
        value: What to set it to; ``None`` names the option alone.

    Example:
        >>> print(OptionRef("overwrite", True), OptionRef("device", "cpu"), OptionRef("cases"))
        overwrite=True device="cpu" cases
        >>> print(OptionRef("options.alpha", 0.3))
        options={"alpha": 0.3}
    """

    key: ClassVar = "option"
    """On the wire."""
    name: str
    value: str | float | bool | None = None

    def __str__(self) -> str:
        group, _, name = self.name.rpartition(".")
        if self.value is None:
            return name
        value = f'"{self.value}"' if isinstance(self.value, str) else repr(self.value)
        return f'{group}={{"{name}": {value}}}' if group else f"{name}={value}"


@dataclass(frozen=True)
class CommandRef:
    """Something else to ask for, in a sentence; ``str`` says it as Python does.

    Attributes:
        verb: What to ask for: a verb of the worker.
        arguments: By name.

    Example:
        >>> print(CommandRef("resume", {"model": "shoulder"}), CommandRef("doctor"))
        resume(model="shoulder") doctor()
    """

    key: ClassVar = "command"
    """On the wire."""
    verb: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.verb}({', '.join(str(OptionRef(name, value)) for name, value in self.arguments.items())})"


Phrasing = Callable[[OptionRef | CommandRef], str]
"""Names of options and commands in a front end."""


class Hint(str):
    """A sentence with options and commands in it, which each front end says in its own words; itself in Python's.

    Example:
        >>> hint = Hint("Use ", OptionRef("device", "cpu"), ".")
        >>> hint, hint.phrased(lambda step: "--device cpu")
        ('Use device="cpu".', 'Use --device cpu.')
    """

    parts: tuple[str | OptionRef | CommandRef, ...]

    def __new__(cls, *parts: str | OptionRef | CommandRef) -> Hint:
        """Join the parts.

        Args:
            *parts: Texts, options and commands, one after the other.
        """
        hint = super().__new__(cls, "".join(map(str, parts)))
        hint.parts = parts
        return hint

    def phrased(self, phrasing: Phrasing) -> str:
        """Return the sentence in the words of a front end."""
        return "".join(part if isinstance(part, str) else phrasing(part) for part in self.parts)

    def to_json(self) -> list[str | dict[str, Any]]:
        """Return the parts as JSON."""
        return [part if isinstance(part, str) else {part.key: vars(part)} for part in self.parts]

    @classmethod
    def from_json(cls, parts: Iterable[Any]) -> Hint:
        """Rebuild a sentence; unknown parts are left out."""
        known: dict[str, type[OptionRef | CommandRef]] = {item.key: item for item in (OptionRef, CommandRef)}
        found: list[str | OptionRef | CommandRef] = []
        for part in parts:
            if isinstance(part, str):
                found.append(part)
            else:
                found += [known[name](**value) for name, value in part.items() if name in known]
        return cls(*found)


def phrased(text: str, phrasing: Phrasing) -> str:
    """Return a text in the words of a front end; one that is no :class:`Hint` as it is."""
    return text.phrased(phrasing) if isinstance(text, Hint) else text


class IncrementalSegError(Exception):
    """Base of every error that is shown to a person; its text is a message, never a traceback.

    Args:
        what: What happened, with the value seen, as one sentence.
        why: Why it is a problem; omitted where it is obvious.
        todo: What to do next; a :class:`Hint` where that is an option or a command.
    """

    def __init__(self, what: str, why: str = "", todo: str = "") -> None:
        super().__init__(what, why, todo)
        self.what, self.why, self.todo = what, why, todo

    def __str__(self) -> str:
        return self.phrased(str)

    def phrased(self, phrasing: Phrasing) -> str:
        """Return the whole message in the words of a front end."""
        return " ".join(part for part in (self.what, self.why, phrased(self.todo, phrasing)) if part)


class DataError(IncrementalSegError):
    """A scan, label or data set cannot be used as it is."""


class GeometryError(DataError):
    """Two grids that must agree do not, or a direction matrix is not orthonormal."""


class ModelError(IncrementalSegError):
    """A model folder, version or package cannot be used or does not fit."""


class OptionError(IncrementalSegError):
    """An option has a value that cannot be used."""


class MissingNeedError(IncrementalSegError):
    """A method needs something that the model does not hold (weights, exemplars, statistics)."""


class DeviceError(IncrementalSegError):
    """The device asked for cannot be used."""


class NoMemoryError(DeviceError):
    """The memory of the GPU or of the computer ran out."""


class WireError(IncrementalSegError):
    """A line between a front end and the worker cannot be understood, or the worker is gone."""


class UnknownNameError(IncrementalSegError):
    """A name is not among the known ones; the message lists them, or the nearest of very many.

    Args:
        kind: What is named, for example ``"method"``.
        name: The name that was asked for.
        known: The names that exist.
        why: An addition to the message, for example why a plug-in is missing.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str], why: str = "") -> None:
        known = sorted(known)
        name = _shortened(name)  # comparing takes its square
        lowered = {item.casefold(): item for item in known}
        near = difflib.get_close_matches(name.casefold(), lowered, n=1, cutoff=0.5)
        hint = f"Did you mean {lowered[near[0]]!r}?" if near else ""
        listing = ", ".join(known) if known else "none"
        if len(known) > _LONGEST_LISTING:
            nearest = difflib.get_close_matches(name.casefold(), lowered, n=_NEAREST, cutoff=0.0)
            listing = f"{', '.join(lowered[item] for item in nearest)} and {len(known) - len(nearest)} more"
        super().__init__(f"There is no {kind} called {name!r}.", why, f"{hint} Known: {listing}.".strip())


def explain(error: BaseException) -> IncrementalSegError:
    """Return any exception as an error that a person can act on."""
    if isinstance(error, IncrementalSegError):
        return error
    if type(error).__name__ == "OutOfMemoryError":  # torch's, which need not be loaded
        return NoMemoryError(
            "The memory of the GPU ran out.",
            INTACT,
            Hint("Use ", OptionRef("preset", "quick"), ", or ", OptionRef("device", "cpu"), "."),
        )
    if isinstance(error, MemoryError):
        return NoMemoryError("The memory of this computer ran out.", INTACT, "Use fewer or smaller scans.")
    if isinstance(error, OSError) and error.errno in _OF_A_PATH and error.filename is not None:
        return IncrementalSegError(
            f"{_shortened(str(error.filename))} cannot be used.",
            f"The system says: {error.strerror}.",
            "Check the path, and your rights there.",
        )
    return IncrementalSegError(
        f"{type(error).__name__}: {str(error).strip() or 'no reason given'}.",
        "This is a fault of the program.",
        Hint("Please report it with what ", CommandRef("doctor"), " finds."),
    )


def _shortened(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 3]}..."
