"""``incrementalseg check``: look at a data set before it is learned from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from IncrementalSegLib.cli.output import (
    HELP,
    AcceptGrid,
    AsJson,
    CaseNames,
    Strict,
    print_json,
    print_table,
    progress_bar,
    say,
)


def command(
    data: Annotated[Path, typer.Argument(metavar="DATA", help=HELP["data"])],
    structures: Annotated[
        str | None, typer.Option(metavar="NAMES", help='As for `learn`: "femur, tibia=LABEL IN DATA". All by default.')
    ] = None,
    cases: CaseNames = None,
    strict: Strict = False,
    accept_grid: AcceptGrid = False,
    as_json: AsJson = False,
) -> None:
    """Give a verdict per case of DATA: ok, warning or refused, with what to do."""
    from IncrementalSegLib.sampling.checks import check_data
    from IncrementalSegLib.volumes.notes import summary

    with progress_bar("check") as progress:
        verdicts = check_data(
            data,
            structures,
            cases=cases,
            progress=progress,
            strict=strict,
            accept_grid=accept_grid,
        )
    if as_json:
        print_json(verdicts.to_json())
    else:
        print_table("Cases", ("case", "verdict", "message"), [(v.case, v.verdict, v.message) for v in verdicts])
        counts = {name: sum(item.verdict == name for item in verdicts) for name in ("ok", "warning", "refused")}
        say("  ".join(f"{count} {name}" for name, count in counts.items()))
        rows = [(name, count.looked_for, count.found) for name, count in verdicts.structures.items()]
        print_table("Structures", ("structure", "cases looked in", "cases found in"), rows)
        for sentence in summary(verdicts.of_data):
            say(sentence)
    if any(item.verdict == "refused" for item in verdicts) or (strict and verdicts.of_data):
        raise typer.Exit(1)
