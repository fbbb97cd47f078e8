"""Lines of JSON: how objects become lines, and how pieces of bytes become lines again."""

from __future__ import annotations

import json
import math

from IncrementalSegLib.errors import WireError
from IncrementalSegLib.types import Json

LONGEST = 16 * 2**20
"""Bytes of the longest line; volumes pass by file, so that anything longer is not ours."""


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
        WireError: It is not a JSON object.
    """
    try:
        found = json.loads(line, parse_constant=lambda name: None)
    except (ValueError, RecursionError) as error:
        raise WireError(f"The line {_short(line)} is not JSON.", todo="Send one JSON object per line.") from error
    if not isinstance(found, dict):
        raise WireError(f"The line {_short(line)} is not a JSON object.", todo="Send one JSON object per line.")
    return found


class LineBuffer:
    """Join pieces of bytes, split anywhere, to lines."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[str]:
        """Take bytes and return the lines that are complete; empty lines are left out."""
        *lines, rest = (self._rest + data).split(b"\n")
        if len(rest) > LONGEST:  # nobody would ever end it
            lines, rest = [*lines, rest[:LONGEST]], b""
        self._rest = rest
        texts = (line.decode("utf-8", "replace").strip() for line in lines)
        return [text for text in texts if text]


def _finite(value: object) -> object:
    match value:
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {str(key): _finite(item) for key, item in value.items()}
        case list() | tuple():
            return [_finite(item) for item in value]
    return value


def _short(line: str) -> str:
    return repr(line if len(line) <= 80 else f"{line[:77]}...")
