"""``incrementalseg spots``: where a predicted scan is most uncertain."""

from __future__ import annotations

from typing import Annotated

import typer

from IncrementalSegLib.cli.output import AsJson, Device, ModelPath, number, print_json, print_table, progress_bar, say


def command(
    model: ModelPath,
    scan: Annotated[str, typer.Argument(metavar="SCAN", help="A file or DICOM folder; channels joined by ;")],
    count: Annotated[int, typer.Option(metavar="N", min=1, help="Largest number of spots.")] = 16,
    structures: Annotated[str | None, typer.Option(metavar="NAMES", help="All by default.")] = None,
    version: Annotated[int | None, typer.Option(metavar="N", help="The current one by default.")] = None,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """List the uncertain spots of SCAN as MODEL sees it, the first to be corrected first; nothing is written."""
    from IncrementalSegLib.engine.spots import spots

    with progress_bar("spots") as progress:
        result = spots(
            model, scan, count=count, structures=structures, version=version, device=device, progress=progress
        )
    if as_json:
        print_json(result.to_json())
        return
    rows = [
        (
            rank,
            ", ".join(f"{value:.1f}" for value in spot.centre),
            f"{spot.size:.3g} {spot.unit}",
            number(spot.uncertainty, 2),
            " or ".join(f"{name} ({share:.2f})" for name, share in spot.structures.items()),
        )
        for rank, spot in enumerate(result.spots, start=1)
    ]
    print_table(
        f"Uncertain spots of {result.scan}",
        ("", "centre (mm, LPS)", "size", "uncertainty", "structures in question"),
        rows,
    )
    for text in (*result.warnings, *([] if rows else ["No spot is uncertain."])):
        say(text)
