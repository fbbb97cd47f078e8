"""``incrementalseg gate``: was every older structure kept?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from IncrementalSegLib.cli.options import takes
from IncrementalSegLib.cli.output import AsJson, ModelPath, number, print_json, print_table, progress_bar, say
from IncrementalSegLib.engine.settings import GateCall

if TYPE_CHECKING:
    from IncrementalSegLib.evaluation.retention import RetentionReport, StructureRow

HELD_BACK = 3
"""Exit status of what the gate holds back."""


@takes(GateCall)
def command(
    model: ModelPath,
    version: Annotated[
        int | None, typer.Argument(metavar="[N]", help="Version to judge; by default the newest.")
    ] = None,
    data: Annotated[Path | None, typer.Option(metavar="DATA", help="Where to look for scans that were moved.")] = None,
    as_json: AsJson = False,
    **settings: Any,
) -> None:
    """Was every older structure kept?  Judge version N of MODEL on the held-out scans.

    Exit status 3: the version would be held back.
    """
    from IncrementalSegLib.engine.compare.retention import gate

    with progress_bar("gate") as progress:
        found = gate(model, version, data=data, **settings, progress=progress)
    if as_json:
        print_json(found.to_json())
    else:
        show(found.report, f"Version {found.version} against version {found.against}")
        if found.page is not None:
            say(f"Report: {found.page}")
    if found.report.held_back_by:
        raise typer.Exit(HELD_BACK)


def show(report: RetentionReport, title: str) -> None:
    """Print a judgement as a table where something was scored, the scans where they are few, and the verdict."""
    columns = ("structure", "before", "after", "points", "95 % interval", "ΔASSD mm", "verdict", "judged by")
    if report.rows and not report.guaranteed:
        print_table(title, columns, (_cells(row) for row in report.rows))
    if any(row.change is not None for row in report.rows):
        say("points: change of Dice times 100; ΔASSD: change of the mean surface distance, above 0 is worse.")
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
    judged = {"measured": f"scans ({len(row.after)})", "guaranteed": "weights", "proxy": f"proxy: {row.basis}"}
    return (
        row.structure,
        *(number(sum(side) / len(side)) if side else None for side in dice),
        None if row.drop is None else signed(-row.drop),
        interval,
        change,
        "not learned" if row.unlearned else row.verdict,
        judged[row.kind],
    )
