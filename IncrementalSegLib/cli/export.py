"""``incrementalseg export``: one version of a model as one file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from IncrementalSegLib.cli.output import AsJson, ModelPath, print_json, say


def command(
    model: ModelPath,
    package: Annotated[Path, typer.Argument(metavar="OUT.iseg", help="The file to write.")],
    version: Annotated[int | None, typer.Option(metavar="N", help="By default the version in use.")] = None,
    include_exemplars: Annotated[
        bool, typer.Option("--include-exemplars", help="With the pieces of scans that the model remembers.")
    ] = False,
    terms: Annotated[str, typer.Option("--license", metavar="TEXT", help="Terms of use, for the card.")] = "",
    as_json: AsJson = False,
) -> None:
    """Write a version of MODEL as one file, to pass it on; without scans, names and paths."""
    from IncrementalSegLib.engine.packages.transfer import export_package
    from IncrementalSegLib.prototypes.bank import FEW_PATIENTS

    card = export_package(model, package, number=version, include_exemplars=include_exemplars, license_text=terms)
    if as_json:
        print_json(card)
        return
    held = card["patient_data"]["exemplars"]
    say(
        f"{card['path']}, {card['bytes'] / 1e6:.1f} MB: knows {', '.join(item['name'] for item in card['structures'])}."
    )
    say(f"It holds {held} pieces of scans, with their outlines." if held else "It holds no piece of a scan.")
    means = card["patient_data"]["prototypes"]
    if few := [name for name, item in means.items() if item["patients"] <= FEW_PATIENTS]:
        say(
            f"The mean features of {', '.join(few)} are of at most {FEW_PATIENTS} patients and describe each of them; "
            "so does the description of the training scans."
        )
