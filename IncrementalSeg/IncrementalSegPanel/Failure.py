"""An error as the panel shows it: what happened, why, and the button that fixes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from IncrementalSegLib.errors import Hint, explain
from IncrementalSegLib.wire.events import Failed
from IncrementalSegPanel.Translation import _
from IncrementalSegPanel.Wording import controlWords


@dataclass(frozen=True)
class Remedy:
    """The button that fixes an error.

    Attributes:
        label: What it says.
        act: What it does.
    """

    label: str
    act: Callable[[], None]


@dataclass(frozen=True)
class Failure:
    """A failure in three parts.

    Attributes:
        what: What happened, one sentence.
        why: Why; may be empty.
        todo: What to do next; may be empty.
        report: Traceback and log of the worker, for *copy report* only.
        remedy: The button that fixes it, or ``None``.
    """

    what: str
    why: str = ""
    todo: str = ""
    report: str = ""
    remedy: Remedy | None = None

    @classmethod
    def of(cls, error: Failed | BaseException, remedy: Remedy | None = None) -> Failure:
        """Return what a worker said or an exception that was raised, as the panel shows it."""
        if isinstance(error, OSError):
            what = _("{path} cannot be used: {reason}.").format(
                path=error.filename or _("A file"), reason=error.strerror or error
            )
            return cls(what, todo=_("Check the free space and the rights of the folder."), remedy=remedy)
        if not isinstance(error, Failed):
            error = Failed.of(None, explain(error))
        todo = Hint.from_json(error.hint).phrased(controlWords) if error.hint else error.todo
        return cls(error.what, error.why, todo, error.report, remedy)
