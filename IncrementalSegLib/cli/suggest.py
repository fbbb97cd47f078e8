"""``incrementalseg suggest``: which scan to correct next."""

from __future__ import annotations

from typing import Annotated

import typer

from IncrementalSegLib.cli.output import AsJson, Device, ModelPath, number, print_json, print_table, progress_bar, say
from IncrementalSegLib.cli.words import spelled


def command(
    model: ModelPath,
    scans: Annotated[
        list[str],
        typer.Argument(metavar="SCAN...", help="Files, DICOM folders, folders of scans; channels joined by ;"),
    ],
    structures: Annotated[str | None, typer.Option(metavar="NAMES", help="All by default.")] = None,
    version: Annotated[int | None, typer.Option(metavar="N", help="The current one by default.")] = None,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Order SCANs by what their correction would teach MODEL, with the reasons; nothing is written."""
    from IncrementalSegLib.engine.suggest import suggest

    with progress_bar("suggest") as progress:
        result = suggest(model, scans, structures=structures, version=version, device=device, progress=progress)
    if as_json:
        print_json(result.to_json())
    else:
        rows = [(item.scan, number(item.priority, 3), item.reason) for item in result.suggestions]
        print_table("Scans to correct, the first first", ("scan", "priority", "reason"), rows)
        for text in (*result.warnings, *(f"Failed: {name}: {e.phrased(spelled)}" for name, e in result.failed.items())):
            say(text)
    if result.failed:
        raise typer.Exit(1)
