"""``incrementalseg demo``: the whole story on made-up scans, in minutes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from IncrementalSegLib.cli.output import AsJson, Device, number, print_json, print_table, progress_bar, say
from IncrementalSegLib.progress import duration


def command(
    output: Annotated[Path, typer.Option(metavar="PATH", help="Folder for scans, models and the report.")] = Path(
        "demo-output"
    ),
    steps: Annotated[int | None, typer.Option(min=1, metavar="N", help="Optimiser steps of each step.")] = None,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Decides everything random.")] = 0,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Teach humerus, then scapula from scans in which only the scapula is outlined, with four methods."""
    from IncrementalSegLib.demo.run import run_demo

    with progress_bar() as progress:
        result = run_demo(output, steps=steps, seed=seed, device=device, progress=progress)
    if as_json:
        print_json(result)
        return
    rows, last = [], None
    for row in result["rows"]:
        before, after = row["before"] or {}, row["after"] or {}
        rows.append(
            (row["structure"] if row["structure"] != last else "", row["method"],
             number(before.get("dice")), number(after.get("dice")),
             number(before.get("assd_mm"), 1), number(after.get("assd_mm"), 1))
        )  # fmt: skip
        last = row["structure"]
    columns = ("structure", "method", "Dice before", "after", "ASSD mm before", "after")
    print_table("Before and after teaching the scapula", columns, rows)
    say(f"\n{result['verdict']}\n")
    say(f"Open {result['report']} in a browser: curves, slices, every case ({duration(result['seconds'])}).")
