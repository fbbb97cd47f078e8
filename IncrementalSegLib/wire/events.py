"""Events of the worker, one per line: ``{"event": "progress", "job": "1", "phase": "training", ...}``.

A reader skips events and keys that it does not know, so that a newer worker may say more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, dataclass, field, fields
from typing import Any

from IncrementalSegLib.errors import Hint, IncrementalSegError, WireError
from IncrementalSegLib.types import Json
from IncrementalSegLib.wire import lines

PROTOCOL = 1
"""Number of the protocol; it rises when an older front end could no longer understand a worker."""


@dataclass(frozen=True)
class Hello:
    """The first line of a worker.

    Attributes:
        version: Of the library.
        protocol: :data:`PROTOCOL`.
        pid: Of the process.
    """

    version: str
    protocol: int
    pid: int


@dataclass(frozen=True)
class Heartbeat:
    """The worker lives; sent every second, and at once as the answer to a ping."""


@dataclass(frozen=True)
class Progressed:
    """Where a job is.

    Attributes:
        job: Id of the request.
        phase: Key of what is being done, see :class:`IncrementalSegLib.progress.Phase`.
        fraction: Share of the whole job that is done, 0..1; it never falls.
        eta: Seconds that the whole job will still take; ``None`` while unknown.
        numbers: Latest named numbers of the phase.
        detail: The one thing among several that the phase is about, for example the name of a scan; may be empty.
    """

    job: str
    phase: str
    fraction: float
    eta: float | None = None
    numbers: dict[str, float | None] = field(default_factory=dict)
    detail: str = ""


@dataclass(frozen=True)
class Metric:
    """One point of a series.

    Attributes:
        job: Id of the request.
        name: For example ``dice``, ``loss``, ``ml``.
        value: ``None`` where it is undefined.
        phase: In which phase it was measured.
        fraction: Share of the phase done then, 0..1.
        structure: Name of the structure that it belongs to, or ``None``.
    """

    job: str
    name: str
    value: float | None
    phase: str = ""
    fraction: float = 0.0
    structure: str | None = None


@dataclass(frozen=True)
class Preview:
    """A result that can be looked at before the job ends.

    Attributes:
        job: Id of the request.
        kind: ``segmentation``, or ``learning``: a picture of a structure that is being learned, redrawn in the
            same file now and then.
        path: File.
        caption: What it shows, for people.
        structure: Name of the structure that it shows, or ``None``.
    """

    job: str
    kind: str
    path: str
    caption: str = ""
    structure: str | None = None


@dataclass(frozen=True)
class Warned:
    """Something that a person should know; on the wire ``warning``.

    Attributes:
        job: Id of the request, or ``None``.
        text: A sentence.
    """

    job: str | None
    text: str


@dataclass(frozen=True)
class Finished:
    """A job is done.

    Attributes:
        job: Id of the request.
        result: What the command of that name prints with ``--json``.
    """

    job: str
    result: Json = field(default_factory=dict)


@dataclass(frozen=True)
class Failed:
    """A job failed, or a request could not be read.

    Attributes:
        job: Id of the request; ``None`` where not even that could be read.
        what: What happened.
        why: Why; may be empty.
        todo: What to do next; may be empty.
        report: Traceback and last lines of the log, for a report of the fault; not to be shown first.
        kind: Name of the error, so that a front end may offer a way out: ``NoMemoryError``.
        hint: The parts of ``todo`` (:meth:`~IncrementalSegLib.errors.Hint.to_json`), where it names options or
            commands that this front end may call otherwise; empty where it names none.
    """

    job: str | None
    what: str
    why: str = ""
    todo: str = ""
    report: str = ""
    kind: str = ""
    hint: list[Any] = field(default_factory=list)

    @classmethod
    def of(cls, job: str | None, error: IncrementalSegError, report: str = "") -> Failed:
        """Return the event for an error."""
        hint = error.todo.to_json() if isinstance(error.todo, Hint) else []
        return cls(
            job=job,
            what=error.what,
            why=error.why,
            todo=str(error.todo),
            report=report,
            kind=type(error).__name__,
            hint=hint,
        )


@dataclass(frozen=True)
class Cancelling:
    """A wish to cancel has arrived.

    Attributes:
        job: Id of the job to be cancelled.
    """

    job: str


@dataclass(frozen=True)
class Cancelled:
    """A job has ended as wished.

    Attributes:
        job: Id of the job.
        kept: Whether what it had done so far is kept: a paused step, the scans already segmented.
    """

    job: str
    kept: bool


@dataclass(frozen=True)
class Unknown:
    """An event of a newer worker.

    Attributes:
        name: Its name.
        data: The whole line.
    """

    name: str
    data: Json


Event = (
    Hello | Heartbeat | Progressed | Metric | Preview | Warned | Finished | Failed | Cancelling | Cancelled | Unknown
)  # fmt: skip


def encode(event: Event) -> str:
    """Return an event as one line of ASCII without its end; numbers that are not finite become null.

    Example:
        >>> encode(Cancelling("3"))
        '{"event":"cancelling","job":"3"}'
    """
    if isinstance(event, Unknown):
        return lines.dump(event.data)
    return lines.dump({"event": _NAMES[type(event)], **vars(event)})


def decode(line: str) -> Event:
    """Read one line; keys that are not known are skipped.

    Raises:
        WireError: It is not an event, or lacks something, or something in it has the wrong type.

    Example:
        >>> decode('{"event": "cancelling", "job": "3"}')
        Cancelling(job='3')
    """
    data = lines.parse(line)
    name = data.get("event")
    if not isinstance(name, str):
        raise WireError("The line names no event.", f"It holds {', '.join(sorted(data))[:200] or 'nothing'}.")
    kind = _KINDS.get(name)
    if kind is None:
        return Unknown(name, data)
    values: Json = {}
    for item in fields(kind):
        if item.name in data:
            if not _FITS[str(item.type)](data[item.name]):
                raise WireError(
                    f"{item.name!r} of the event {name!r} is {lines.short(data[item.name])}, not {item.type}."
                )
            values[item.name] = data[item.name]
        elif item.default is MISSING and item.default_factory is MISSING:
            raise WireError(f"The event {name!r} lacks {item.name!r}.")
    event: Event = kind(**values)
    return event


_KINDS: dict[str, type[Event]] = {
    "hello": Hello,
    "heartbeat": Heartbeat,
    "progress": Progressed,
    "metric": Metric,
    "preview": Preview,
    "warning": Warned,
    "finished": Finished,
    "failed": Failed,
    "cancelling": Cancelling,
    "cancelled": Cancelled,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}


def _number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _numbers(value: object) -> bool:
    return isinstance(value, dict) and all(item is None or _number(item) for item in value.values())


_FITS: dict[str, Callable[[object], bool]] = {
    "str": lambda value: isinstance(value, str),
    "str | None": lambda value: value is None or isinstance(value, str),
    "int": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "bool": lambda value: isinstance(value, bool),
    "float": _number,
    "float | None": lambda value: value is None or _number(value),
    "dict[str, float | None]": _numbers,
    "Json": lambda value: isinstance(value, dict),
    "list[Any]": lambda value: isinstance(value, list),
}
