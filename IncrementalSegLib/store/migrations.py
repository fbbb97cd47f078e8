"""Documents of older formats, brought to the present one while they are read; the files stay as they are.

Standard library only.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from IncrementalSegLib.errors import ModelError
from IncrementalSegLib.store.atomic import damaged
from IncrementalSegLib.types import Json


def _to_2(data: Json) -> Json:
    """Format 2: model.json names the versions that were rejected; manifests stay as they are."""
    return data | {"rejected": []} if "accepted" in data else data


_CHAIN: tuple[Callable[[Json], Json], ...] = (_to_2,)
"""The n-th brings a document of format n to format n + 1."""

FORMAT = 1 + len(_CHAIN)
"""Number of the model format that this code writes; it reads this one and all before."""


def migrated(data: Json, path: Path) -> Json:
    """Return a JSON object of ``path`` (model.json or a manifest) as the present format has it.

    Args:
        data: The object with its ``format``; it is not changed.
        path: Where it was read, for messages.

    Raises:
        ModelError: The format number is missing, or newer than this code.
    """
    number = data.get("format")
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise damaged(path, f"its format number is {number!r}")
    if number > FORMAT:
        raise ModelError(
            f"{path} has format {number}.",
            f"This version of IncrementalSeg reads formats up to {FORMAT}.",
            "Update IncrementalSeg.",
        )
    for step in _CHAIN[number - 1 :]:
        data = step(data)
    return data | {"format": FORMAT}
