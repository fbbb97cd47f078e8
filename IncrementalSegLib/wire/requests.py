"""Requests of a front end, one per line: ``{"id": "1", "verb": "segment", "arguments": {...}}``."""

from __future__ import annotations

from dataclasses import dataclass, field

from IncrementalSegLib.errors import WireError
from IncrementalSegLib.types import Json
from IncrementalSegLib.wire import lines

CANCEL = "cancel"
"""Arguments ``job`` and ``wish``: ``keep`` (a step continues with the best weights so far), ``pause`` (a step
can be resumed) or ``discard``."""

PING = "ping"
"""Answered by a heartbeat; tells the worker that the front end lives."""

SHUTDOWN = "shutdown"
"""End when the jobs that were asked for are done; nothing more is read."""


@dataclass(frozen=True)
class Request:
    """One request; a front end chooses the id, which names the job from then on.

    Attributes:
        id: Any text that no other job of this worker has.
        verb: What to do: a command of the worker, or :data:`CANCEL`, :data:`PING`, :data:`SHUTDOWN`.
        arguments: By name.
        expected: Seconds that each part of the job takes, as ``estimate`` gave them, for the time left; may be empty.
    """

    id: str
    verb: str
    arguments: Json = field(default_factory=dict)
    expected: dict[str, float] = field(default_factory=dict)


def encode(request: Request) -> str:
    """Return a request as one line of ASCII without its end.

    Example:
        >>> encode(Request("2", "cancel", {"job": "1", "wish": "pause"}))
        '{"id":"2","verb":"cancel","arguments":{"job":"1","wish":"pause"}}'
    """
    return lines.dump({name: value for name, value in vars(request).items() if value or name != "expected"})


def decode(line: str) -> Request:
    """Read one line.

    Raises:
        WireError: It is not a request.
    """
    data = lines.parse(line)
    arguments, expected = data.get("arguments", {}), data.get("expected", {})
    for name, value, kind, wanted in (
        ("id", data.get("id"), str, "a text"),
        ("verb", data.get("verb"), str, "a text"),
        ("arguments", arguments, dict, "an object"),
        ("expected", expected, dict, "an object"),
    ):
        if not isinstance(value, kind):
            raise WireError(f"{name!r} of a request is {lines.short(value)}, not {wanted}.")
    for part, seconds in expected.items():
        if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
            raise WireError(f"{part!r} of what is expected is {lines.short(seconds)}, not a number.")
    return Request(data["id"], data["verb"], arguments, expected)
