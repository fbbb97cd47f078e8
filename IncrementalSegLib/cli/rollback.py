"""``incrementalseg rollback``: go back to a version that was in use."""

from __future__ import annotations

from typing import Annotated

import typer

from IncrementalSegLib.cli.output import AsJson, ModelPath, print_json, say


def command(
    model: ModelPath,
    number: Annotated[
        int | None, typer.Argument(metavar="[N]", help="By default the last one in use from which it descends.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Go back to a version of MODEL that was in use before; nothing is deleted."""
    from IncrementalSegLib.store.versions import open_model

    folder = open_model(model)
    left = folder.current
    chosen = folder.roll_back(number)
    if as_json:
        print_json({"current": chosen, "before": left})
    else:
        stays = f"; version {left} stays on the disk" if left != chosen else ", as before"
        say(f"Version {chosen} of {model} is in use{' again' if left != chosen else ''}{stays}.")
