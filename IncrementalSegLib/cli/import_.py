"""``incrementalseg import``: a package becomes a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from IncrementalSegLib.cli.output import AsJson, print_json, say


def command(
    package: Annotated[Path, typer.Argument(metavar="PACKAGE", help="The .iseg file that export made.")],
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Folder of the new model.")],
    as_json: AsJson = False,
) -> None:
    """Make a model of PACKAGE; one that is damaged or does not fit is refused and leaves nothing behind."""
    from IncrementalSegLib.engine.packages.transfer import import_package

    record, card = import_package(package, model)
    if as_json:
        print_json({"model": str(model), "version": record.number, "card": card})
        return
    say(f"{model}, version {record.number}: knows {', '.join(record.structures.names)}.")
    if terms := card.get("license"):
        say(f"Terms of use: {terms}")
