"""The refusal of a model from elsewhere, and of one that is meant for elsewhere."""

from __future__ import annotations

from pathlib import Path

from IncrementalSegLib.errors import CommandRef, Hint, ModelError

FOLD = "fold_"
"""Begins the names of the folders of checkpoints."""

NOTHING = "Nothing was written."
"""Ends the message of a refusal."""


def refused(path: Path, reason: str, why: str = "", todo: str = "") -> ModelError:
    """Return the error for a folder or file that is not adopted.

    Args:
        path: What was refused; of a checkpoint the message also names the fold.
        reason: The fault, as the end of a sentence.
        why: Why it is one.
        todo: What to do next.
    """
    name = f"{path.parent.name}/{path.name}" if path.parent.name.startswith(FOLD) else path.name
    return ModelError(f"{name} cannot be adopted: {reason}.", why, f"{todo} {NOTHING}".strip())


def inexpressible(
    reason: str, why: str, todo: str = "", what: str = "The model", program: str = "nnU-Net"
) -> ModelError:
    """Return the error for a model that another program has no form for.

    Args:
        reason: What it has that the program does not know, as the end of a sentence.
        why: Why the program does not know it.
        todo: The way out; by default to pass it on as a package.
        what: The model.
        program: The program.
    """
    way = (todo,) if todo else ("Pass it on as a package, with ", CommandRef("export"), ".")
    return ModelError(f"{what} cannot be released for {program}: {reason}.", why, Hint(*way, f" {NOTHING}"))
