"""``incrementalseg correct``: correct a scan with strokes."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from IncrementalSegLib.cli.output import (
    AsJson,
    CaseNames,
    Device,
    ModelPath,
    number,
    print_json,
    print_table,
    progress_bar,
    say,
)
from IncrementalSegLib.cli.segment import Format


class Rule(StrEnum):
    """Names of the update rules."""

    propagate_only = "propagate-only"


def command(
    model: ModelPath,
    scan: Annotated[
        str | None, typer.Argument(metavar="[SCAN]", help="A file or DICOM folder; channels joined by ;")
    ] = None,
    strokes: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A .seg.nrrd: a segment per structure, and background.")
    ] = None,
    output: Annotated[Path | None, typer.Option(metavar="PATH", help="A file name or a folder.")] = None,
    method: Annotated[Rule, typer.Option(help="propagate-only: the model learns nothing.")] = Rule.propagate_only,
    version: Annotated[int | None, typer.Option(metavar="N", help="The current one by default.")] = None,
    format: Annotated[Format | None, typer.Option(help="As the name of the output says, else seg.nrrd.")] = None,  # noqa: A002
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that already exist.")] = False,
    simulate: Annotated[
        Path | None, typer.Option(metavar="DATA", help="In place of SCAN: labelled cases and a simulated user.")
    ] = None,
    cases: CaseNames = None,
    spots: Annotated[int, typer.Option(metavar="N", min=1, help="Strokes of the simulated user per round.")] = 16,
    rounds: Annotated[int, typer.Option(metavar="N", min=1, help="Rounds of the simulated user.")] = 2,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Segment SCAN with MODEL and let strokes correct the result; what was painted holds in it."""
    if simulate is not None:
        if scan is not None or strokes is not None or output is not None:
            raise typer.BadParameter("--simulate takes no SCAN, --strokes or --output: it writes nothing")
        _simulate(model, simulate, as_json, cases=cases, spots=spots, rounds=rounds, version=version, device=device)
        return
    if scan is None or strokes is None or output is None:
        raise typer.BadParameter("name SCAN, --strokes FILE and --output PATH, or --simulate DATA")
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


def _simulate(model: Path, data: Path, as_json: bool, **options: Any) -> None:
    from IncrementalSegLib.engine.simulate import simulate

    with progress_bar("correct") as progress:
        result = simulate(model, data, **options, progress=progress)
    if as_json:
        print_json(result.to_json())
        return
    found, alone = result.mean(lambda case: case.dice), result.mean(lambda case: case.strokes_only)
    rounds = [f"round {index}" for index in range(1, result.rounds + 1)]
    rows = [(name, *map(number, scores), number(alone[name][-1])) for name, scores in found.items()]
    columns = ("structure", "before", *rounds, "strokes alone")
    print_table(f"Mean Dice of {len(result.cases)} cases, {result.spots} strokes per round", columns, rows)
    for text in result.warnings:
        say(text)
