"""``incrementalseg estimate``: what a step will take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from IncrementalSegLib.cli.options import takes
from IncrementalSegLib.cli.output import HELP, AsJson, ModelPath, print_json, print_table, progress_bar, say
from IncrementalSegLib.engine.settings import StepCall
from IncrementalSegLib.progress import EstimatePart, duration

_PARTS = {
    EstimatePart.READING: "reading scans",
    EstimatePart.PREPARING: "preparing scans",
    EstimatePart.LEARNING: "training",
    EstimatePart.SCORING: "scoring held-out scans",
    EstimatePart.CHECKPOINTS: "checkpoints",
    EstimatePart.REMEMBERING: "preparing later steps",
    EstimatePart.JUDGING: "retention gate",
    EstimatePart.SAVING: "saving",
}
"""Part of an estimate -> its name in the table."""


@takes(StepCall)
def command(
    model: ModelPath,
    data: Annotated[list[Path], typer.Option(metavar="DATA", help=HELP["data"])],
    structures: Annotated[list[str], typer.Option(metavar="NAMES", help="As for learn, like every option here.")],
    as_json: AsJson = False,
    **settings: Any,
) -> None:
    """Say how long teaching MODEL would take, and how much memory and disk; nothing is written."""
    from IncrementalSegLib.engine.planning.estimate import estimate

    with progress_bar("estimate") as progress:
        found = estimate(model, data, structures, **settings, progress=progress)
    plain = found.to_json()
    if as_json:
        print_json(plain)
        return
    print_table("At most", ("part", "time"), [(_PARTS[name], duration(value)) for name, value in found.seconds.items()])
    memory = "peak memory unknown" if found.memory is None else f"peak memory {plain['memory_mb']} MB"
    say(
        f"About {duration(found.total)} on {found.device} ({found.method}, {found.steps} optimiser steps), "
        f"{memory}, {plain['disk_mb']} MB on the disk. Training may end early."
    )
    if found.why:
        say(f"Method: {found.method}. {' '.join(found.why)}")
    if found.unjudged:
        say(f"No held-out scan will show {', '.join(found.unjudged)}: no later step can measure whether it is kept.")
