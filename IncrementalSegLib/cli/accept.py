"""``incrementalseg accept``: use a version."""

from __future__ import annotations

from typing import Annotated

import typer

from IncrementalSegLib.cli.output import AsJson, ModelPath, print_json, say

VersionNumber = Annotated[int, typer.Argument(metavar="N", help="Number of the version.")]


def command(model: ModelPath, number: VersionNumber, as_json: AsJson = False) -> None:
    """Make version N of MODEL the current one; a version held back or rejected too."""
    from IncrementalSegLib.store.versions import open_model

    folder = open_model(model)
    folder.accept(number)
    if as_json:
        print_json({"current": folder.current, "status": folder.status(number)})
    else:
        say(f"Version {number} of {model} is in use.")
