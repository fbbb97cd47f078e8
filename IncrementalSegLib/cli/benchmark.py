"""``incrementalseg benchmark``: the protocols of the papers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from IncrementalSegLib.cli.output import AsJson, print_json, print_table, progress_bar, say

app = typer.Typer(help="Run the protocols of the papers.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Run the protocols of the papers."""


@app.command()
def ozdemir(
    out: Annotated[Path, typer.Option(metavar="DIR", help="One JSON per chain, table and plots.")],
    seeds: Annotated[int, typer.Option(min=1, help="Seeds 0, 1, ...")] = 3,
    methods: Annotated[str | None, typer.Option(metavar="a,b,c", help="All by default.")] = None,
    data: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder with lumbar-spine-mr and hippocampus-mr.")
    ] = None,
    protocols: Annotated[str | None, typer.Option(metavar="a,b,c", help="All that the data allows by default.")] = None,
    shard: Annotated[str, typer.Option(metavar="i/n", help="Do the i-th of n parts of the chains.")] = "1/1",
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda")] = "auto",
    as_json: AsJson = False,
) -> None:
    """Ozdemir 2018: Cases 1 to 3 on phantoms and, where the data is there, on real scans."""
    from IncrementalSegLib.benchmarks.ozdemir import run_ozdemir

    part, _, parts = shard.partition("/")
    if not (part.isdigit() and parts.isdigit() and 1 <= int(part) <= int(parts)):
        raise typer.BadParameter(f"{shard!r}: write for example 1/2", param_hint="--shard")
    with progress_bar() as progress:
        result = run_ozdemir(
            out, seeds=seeds, methods=methods, data=data, protocols=protocols, shard=(int(part), int(parts)),
            device=device, progress=progress,
        )  # fmt: skip
    if as_json:
        print_json(result)
    else:
        say(f"{result['done']} chains done, {result['left']} left. Table: {result['table']}")


@app.command()
def speed(
    out: Annotated[Path, typer.Option(metavar="FILE", help="JSON file to write.")],
    pairs: Annotated[int, typer.Option(min=1, metavar="N", help="Alternating pairs of each figure.")] = 15,
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda")] = "auto",
    as_json: AsJson = False,
) -> None:
    """Measure speed as ratios, each in alternating pairs; run it alone, with OMP_NUM_THREADS=1 on a CPU."""
    from IncrementalSegLib.benchmarks.speed import measure
    from IncrementalSegLib.store.atomic import write_json

    with progress_bar() as progress:
        result = measure(device, pairs, progress)
    write_json(out, result)
    if as_json:
        print_json(result)
        return
    rows = [
        (row["name"], row["median"], "{} to {}".format(*row["quartiles"]), row["limit"]) for row in result["ratios"]
    ]
    print_table(f"{result['device']}, {result['precision']}", ("ratio", "median", "quartiles", "limit"), rows)
