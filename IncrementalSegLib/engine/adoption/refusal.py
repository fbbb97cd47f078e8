"""The refusal of a model from elsewhere."""

from __future__ import annotations

from pathlib import Path

from IncrementalSegLib.errors import ModelError


def refused(path: Path, reason: str, why: str = "", todo: str = "") -> ModelError:
    """Return the error for a folder or file that is not adopted.

    Args:
        path: What was refused.
        reason: The fault, as the end of a sentence.
        why: Why it is one.
        todo: What to do next.
    """
    return ModelError(f"{path.name} cannot be adopted: {reason}.", why, f"{todo} Nothing was written.".strip())
