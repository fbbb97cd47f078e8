"""``incrementalseg gate``: was every older structure kept?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from IncrementalSegLib.cli.output import (
    AcceptGrid,
    AsJson,
    DeviceName,
    ModelPath,
    Strict,
    number,
    print_json,
    print_table,
    progress_bar,
    say,
)  # fmt: skip

if TYPE_CHECKING:
    from IncrementalSegLib.evaluation.retention import RetentionReport, StructureRow
    from IncrementalSegLib.evaluation.verdicts import Limits

LimitHarm = Annotated[
    float, typer.Option("--limit-harm", min=0, max=100, metavar="POINTS", help="What one structure may lose.")
]
LimitMean = Annotated[
    float, typer.Option("--limit-mean", min=0, max=100, metavar="POINTS", help="What all may lose on average.")
]
HELD_BACK = 3
"""Exit status of what the gate holds back."""


def command(
    model: ModelPath,
    version: Annotated[
        int | None, typer.Argument(metavar="[N]", help="Version to judge; by default the newest.")
    ] = None,
    against: Annotated[int | None, typer.Option(metavar="M", help="Version to compare with; its parent.")] = None,
    data: Annotated[
        Path | None, typer.Option(metavar="DATA", help="Where to look for scans that lie elsewhere now.")
    ] = None,
    limit_harm: LimitHarm = 3.0,
    limit_mean: LimitMean = 1.0,
    report: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Write a page with pictures.")] = None,
    strict: Strict = False,
    accept_grid: AcceptGrid = False,
    device: DeviceName = "auto",
    as_json: AsJson = False,
) -> None:
    """Was every older structure kept?  Judge version N of MODEL on the scans set aside.

    Exit status 3: the version would be held back.
    """
    from IncrementalSegLib.engine.gate.gate import gate

    limits = limits_of(limit_harm, limit_mean)
    with progress_bar("gate") as progress:
        found = gate(
            model,
            version,
            against=against,
            data=data,
            report=report,
            limits=limits,
            strict=strict,
            accept_grid=accept_grid,
            device=device,
            progress=progress,
        )
    if as_json:
        print_json(found.to_json())
    else:
        show(found.report, f"Version {found.version} against version {found.against}")
        if found.page is not None:
            say(f"Report: {found.page}")
    if found.report.held_back_by:
        raise typer.Exit(HELD_BACK)


def limits_of(harm: float, mean: float) -> Limits:
    """Return limits, with fewer than five scans unsure from 1 point on or from ``harm``."""
    from IncrementalSegLib.evaluation.verdicts import Limits

    return Limits(harm, min(harm, Limits.unsure), mean)


def show(report: RetentionReport, title: str) -> None:
    """Print a judgement as a table, the scans where they are few, and the verdict."""
    columns = ("structure", "before", "after", "points", "95 % interval", "ΔASSD mm", "verdict", "judged by")
    if report.rows:
        print_table(title, columns, (_cells(row) for row in report.rows))
    for row in report.rows:
        if row.drop is not None and row.interval is None:
            pairs = zip(row.before, row.after, strict=True)
            listed = ", ".join(
                f"{old.case} {number(old.dice) or 'absent'} → {number(new.dice) or 'absent'}" for old, new in pairs
            )
            say(f"{row.structure}, too few scans for an interval: {listed}")
        if row.note:
            say(f"{row.structure}, {row.kind}: {row.note}.")
    say(report.sentence)


def _cells(row: StructureRow) -> tuple[str | None, ...]:
    from IncrementalSegLib.evaluation.intervals import signed

    sides = ((), row.after) if row.basis == "agreement" else (row.before, row.after)
    dice = [[item.dice for item in side if item.dice is not None] for side in sides]
    interval = None if row.interval is None else f"{signed(-row.interval[1])} to {signed(-row.interval[0])}"
    change = None if row.assd_change_mm is None else signed(row.assd_change_mm, 2)
    judged = f"scans ({len(row.after)})" if row.kind == "measured" else f"proxy: {row.basis}"
    return (
        row.structure,
        *(number(sum(side) / len(side)) if side else None for side in dice),
        None if row.drop is None else signed(-row.drop),
        interval,
        change,
        row.verdict,
        judged,
    )
