"""The number of the model format, in ``model.json`` and every manifest.

Standard library only.
"""

from __future__ import annotations

from pathlib import Path

from IncrementalSegLib.errors import ModelError
from IncrementalSegLib.files import damaged
from IncrementalSegLib.types import Json

FORMAT = 1
"""The format that this code writes and reads."""

FORM_ERRORS = KeyError, TypeError, ValueError, AttributeError, IndexError
"""Raised where a document has a different form from the one that its reader expects; pydantic's is a ValueError."""


def require_format(data: Json, path: Path) -> None:
    """Refuse a document of another format.

    Args:
        data: The object with its ``format``.
        path: Where it was read, for messages.

    Raises:
        ModelError: The number is missing, or not :data:`FORMAT`.
    """
    number = data.get("format")
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise damaged(path, f"its format number is {number!r}")
    if number > FORMAT:
        raise ModelError(
            f"{path} has format {number}.",
            f"This version of IncrementalSeg reads format {FORMAT}.",
            "Update IncrementalSeg.",
        )
