"""``incrementalseg estimate``: what a step will take."""

from __future__ import annotations

from typing import Annotated

import typer

from IncrementalSegLib.cli.learn import Exemplars, Network, PresetName, Retention, parse_options
from IncrementalSegLib.cli.output import (
    AcceptGrid,
    AsJson,
    CaseNames,
    DataPath,
    DeviceName,
    ModelPath,
    Strict,
    print_json,
    print_table,
    progress_bar,
    say,
)  # fmt: skip
from IncrementalSegLib.engine.progress import duration


def command(
    model: ModelPath,
    data: DataPath,
    structures: Annotated[str, typer.Option(metavar="NAMES", help="As for learn, like every option here.")],
    cases: CaseNames = None,
    improve: Annotated[bool, typer.Option("--improve", help="The structures are known.")] = False,
    method: Annotated[str | None, typer.Option(metavar="M", help="How old structures would be kept.")] = None,
    option: Annotated[list[str] | None, typer.Option(metavar="k=v", help="Option of the method.")] = None,
    network: Annotated[Network | None, typer.Option(help="Trunk of a new model.")] = None,
    preset: Annotated[PresetName | None, typer.Option(help="Size and schedule.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, metavar="N", help="Optimiser steps at most.")] = None,
    exemplars: Annotated[Exemplars, typer.Option(help="Whether scans would be kept.")] = Exemplars.keep,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Decides the split.")] = 0,
    retention: Annotated[Retention, typer.Option(help="Whether scans that judge are copied.")] = Retention.paths,
    strict: Strict = False,
    accept_grid: AcceptGrid = False,
    device: DeviceName = "auto",
    as_json: AsJson = False,
) -> None:
    """Say how long teaching MODEL would take, and how much memory and disk; nothing is written."""
    from IncrementalSegLib.engine.planning.estimate import estimate

    with progress_bar("estimate") as progress:
        found = estimate(
            model,
            data,
            structures,
            cases=cases,
            improve=improve,
            method=method,
            options=parse_options(option or []),
            network=network,
            preset=preset,
            steps=steps,
            exemplars=exemplars.value,
            seed=seed,
            retention=retention.value,
            strict=strict,
            accept_grid=accept_grid,
            device=device,
            progress=progress,
        )
    plain = found.to_json()
    if as_json:
        print_json(plain)
        return
    print_table("At most", ("part", "time"), [(name, duration(value)) for name, value in found.seconds.items()])
    memory = "peak memory unknown" if found.memory is None else f"peak memory {plain['memory_mb']} MB"
    say(
        f"About {duration(found.total)} on {found.device} ({found.method}, {found.steps} optimiser steps), "
        f"{memory}, {plain['disk_mb']} MB on the disk. Training may end early."
    )
    if found.why:
        say(f"Method: {found.method}. {' '.join(found.why)}")
    if found.unjudged:
        say(f"No scan set aside will show {', '.join(found.unjudged)}: no later step can measure whether it is kept.")
