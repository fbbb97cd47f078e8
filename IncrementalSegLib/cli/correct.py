"""``incrementalseg correct``: correct a scan with strokes."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from IncrementalSegLib.cli.output import AsJson, Device, ModelPath, number, print_json, print_table, progress_bar, say
from IncrementalSegLib.cli.segment import Format


class Rule(StrEnum):
    """Names of the update rules."""

    propagate_only = "propagate-only"


def command(
    model: ModelPath,
    scan: Annotated[str, typer.Argument(metavar="SCAN", help="A file or DICOM folder; channels joined by ;")],
    strokes: Annotated[
        Path, typer.Option(metavar="FILE", help="A .seg.nrrd: a segment per structure, and background.")
    ],
    output: Annotated[Path, typer.Option(metavar="PATH", help="A file name or a folder.")],
    method: Annotated[Rule, typer.Option(help="propagate-only: the model learns nothing.")] = Rule.propagate_only,
    version: Annotated[int | None, typer.Option(metavar="N", help="The current one by default.")] = None,
    format: Annotated[Format | None, typer.Option(help="As the name of the output says, else seg.nrrd.")] = None,  # noqa: A002
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that already exist.")] = False,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Segment SCAN with MODEL and let strokes correct the result; what was painted holds in it."""
    from IncrementalSegLib.engine.correct import correct

    with progress_bar("correct") as progress:
        result = correct(
            model,
            scan,
            strokes,
            output,
            method=method.value,
            version=version,
            format=None if format is None else format.value,
            overwrite=overwrite,
            device=device,
            progress=progress,
        )
    if as_json:
        print_json(result.to_json())
        return
    print_table("Volumes", ("structure", "ml"), [(name, number(ml, 1)) for name, ml in result.millilitres.items()])
    for text in (*result.warnings, *(f"Wrote {path}" for path in result.outputs)):
        say(text)
