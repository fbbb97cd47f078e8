"""Errors that a person can act on: what happened, the value seen, why, and what to do next."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Iterable

_LONGEST_NAME = 300  # characters


class IncrementalSegError(Exception):
    """Base of every error that is shown to a person; its text is a message, never a traceback.

    Args:
        what: What happened, with the value seen, as one sentence.
        why: Why it is a problem; omitted where it is obvious.
        todo: What to do next.
    """

    def __init__(self, what: str, why: str = "", todo: str = "") -> None:
        super().__init__(what, why, todo)
        self.what, self.why, self.todo = what, why, todo

    def __str__(self) -> str:
        return " ".join(part for part in (self.what, self.why, self.todo) if part)


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
    """A name is not among the known ones; the message lists them and the nearest match.

    Args:
        kind: What is named, for example ``"method"``.
        name: The name that was asked for.
        known: The names that exist.
        why: An addition to the message, for example why a plug-in is missing.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str], why: str = "") -> None:
        known = sorted(known)
        name = name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 3]}..."  # comparing takes its square
        lowered = {item.casefold(): item for item in known}
        near = difflib.get_close_matches(name.casefold(), lowered, n=1, cutoff=0.5)
        hint = f"Did you mean {lowered[near[0]]!r}?" if near else ""
        listing = ", ".join(known) if known else "none"
        super().__init__(f"There is no {kind} called {name!r}.", why, f"{hint} Known: {listing}.".strip())


def command_line(*words: object) -> str:
    """Return a command that can be copied into a shell, for what to do next.

    Example:
        >>> command_line("learn", "my model", "--resume")
        "incrementalseg learn 'my model' --resume"
    """
    return shlex.join(["incrementalseg", *map(str, words)])


def explain(error: BaseException) -> IncrementalSegError:
    """Return any exception as an error that a person can act on."""
    if isinstance(error, IncrementalSegError):
        return error
    if type(error).__name__ == "OutOfMemoryError":  # torch's, which need not be loaded
        return NoMemoryError(
            "The memory of the GPU ran out.", "Nothing was changed.", "Use the preset quick, or the device cpu."
        )
    if isinstance(error, MemoryError):
        return NoMemoryError(
            "The memory of this computer ran out.", "Nothing was changed.", "Use fewer or smaller scans."
        )
    return IncrementalSegError(
        f"{type(error).__name__}: {str(error).strip() or 'no reason given'}.",
        "This is a fault of the program.",
        "Please report it with what `incrementalseg doctor` prints.",
    )
