"""Lines of JSON: how objects become lines, and how pieces of bytes become lines again."""

from __future__ import annotations

import json
import math
import reprlib

from IncrementalSegLib.errors import WireError
from IncrementalSegLib.types import Json

LONGEST = 16 * 2**20
"""Bytes of the longest line; volumes pass by file, so that anything longer is not ours."""

_SHOWN = 80  # characters


def dump(data: Json) -> str:
    r"""Return an object as one line of ASCII without its end.

    Numbers that are not finite become null, and what JSON does not know becomes its text.

    Example:
        >>> dump({"dice": float("nan"), "name": "humerus"})
        '{"dice":null,"name":"humerus"}'
    """
    return json.dumps(_finite(data), allow_nan=False, separators=(",", ":"), default=str)


def parse(line: str) -> Json:
    """Read one line.

    Raises:
        WireError: It is too long, or not a JSON object.
    """
    if isinstance(line, _Overlong):
        raise WireError(
            f"The line that begins with {short(line)} has more than {LONGEST} bytes.", todo="Pass large data by file."
        )
    try:
        found = json.loads(line, parse_constant=lambda name: None)
    except (ValueError, RecursionError) as error:
        raise WireError(f"The line {short(line)} is not JSON.", todo="Send one JSON object per line.") from error
    if not isinstance(found, dict):
        raise WireError(f"The line {short(line)} is not a JSON object.", todo="Send one JSON object per line.")
    return found


def short(value: object) -> str:
    """Return a value as a message shows it, however large it is."""
    if isinstance(value, str):
        return repr(value if len(value) <= _SHOWN else f"{value[: _SHOWN - 3]}...")
    text = reprlib.repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


class _Overlong(str):
    """The beginning of a line of more than :data:`LONGEST` bytes, which :func:`parse` refuses."""

    __slots__ = ()


class LineBuffer:
    """Join pieces of bytes, split anywhere, to lines; of one that is too long only the beginning is kept."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._skipping = False

    def feed(self, data: bytes) -> list[str]:
        """Take bytes and return the lines that are complete or too long; empty lines are left out."""
        found: list[str] = []
        *ended, rest = data.split(b"\n")
        for part in ended:
            self._take(part, found)
            if not self._skipping and (text := self._rest.decode("utf-8", "replace").strip()):
                found.append(text)
            self._rest, self._skipping = bytearray(), False
        self._take(rest, found)
        return found

    def _take(self, part: bytes, found: list[str]) -> None:
        if self._skipping:
            return
        if len(self._rest) + len(part) <= LONGEST:
            self._rest += part
            return
        beginning = bytes(self._rest[:_SHOWN]) + part[:_SHOWN]
        found.append(_Overlong(beginning[:_SHOWN].decode("utf-8", "replace").strip()))
        self._rest, self._skipping = bytearray(), True


def _finite(value: object) -> object:
    match value:
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {str(key): _finite(item) for key, item in value.items()}
        case list() | tuple():
            return [_finite(item) for item in value]
    return value
