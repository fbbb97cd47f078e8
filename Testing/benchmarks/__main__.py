"""Run the protocols of a paper: ``python -m Testing.benchmarks PAPER [PROTOCOL ...] --out DIR``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from IncrementalSegLib.cli.output import Device, progress_bar, say
from IncrementalSegLib.errors import DataError
from Testing.benchmarks.command import run_command
from Testing.benchmarks.paper import find_paper
from Testing.benchmarks.runs import Chain, Runner
from Testing.benchmarks.summary import write_summary
from Testing.benchmarks.variants import find_variants


def main(
    paper: Annotated[str, typer.Argument(help="File in Testing/benchmarks/protocols, for example ozdemir2018.")],
    protocols: Annotated[
        list[str] | None, typer.Argument(metavar="[PROTOCOL]...", help="All that the data allows by default.")
    ] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Results, tables and pictures.")] = Path("benchmark-output"),
    data: Annotated[Path | None, typer.Option(metavar="DIR", help="The data set, or the folder that holds it.")] = None,
    methods: Annotated[
        str | None, typer.Option(metavar="a,b+OPTION=VALUE", help="Those of the protocol by default.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=0, help="Seeds 0, 1, ...; with 0 only tables and pictures are made.")] = 3,
    steps: Annotated[int | None, typer.Option(min=1, metavar="N", help="Optimiser steps of each stage.")] = None,
    device: Device = "auto",
) -> None:
    """Run the chains that have not finished, then write tables and pictures of those that have.

    Any number of processes may work on one folder.
    """
    found = find_paper(paper)
    if data is not None and not data.is_dir():
        raise DataError(f"The folder {data} is not there.", todo="Name the folder that holds the data sets.")
    chosen = found.choose(protocols or [], with_data=data is not None)
    if steps is not None:
        chosen = [replace(item, stages=tuple(replace(stage, steps=steps) for stage in item.stages)) for item in chosen]
    chains = [
        Chain(protocol, variant, seed)
        for seed in range(seeds)
        for protocol in chosen
        for variant in find_variants(methods, protocol)
    ]
    with progress_bar() as progress:
        runner = Runner(out, data, device, progress)
        for chain in chains:
            runner.run(chain)
    left = sum(not runner.is_finished(chain) for chain in chains)
    say(f"{len(chains) - left} chains done, {left} left. Table: {write_summary(out, found)}")


if __name__ == "__main__":
    run_command(main)
