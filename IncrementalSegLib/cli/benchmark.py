"""``incrementalseg benchmark``: the protocols of the papers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from IncrementalSegLib.cli.output import AsJson, print_json, print_table, progress_bar, say
from IncrementalSegLib.types import Json

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
    from IncrementalSegLib.benchmarks.ozdemir.run import run_ozdemir

    part = _part(shard)
    with progress_bar() as progress:
        result = run_ozdemir(
            out, seeds=seeds, methods=methods, data=data, protocols=protocols, shard=part,
            device=device, progress=progress,
        )  # fmt: skip
    if as_json:
        print_json(result)
    else:
        say(f"{result['done']} chains done, {result['left']} left. Table: {result['table']}")


@app.command()
def ciss(
    out: Annotated[Path, typer.Option(metavar="DIR", help="One JSON per chain, tables and pictures.")],
    dataset: Annotated[str, typer.Option(metavar="btcv|spine|phantom", help="What is taught.")] = "btcv",
    data: Annotated[Path | None, typer.Option(metavar="DIR", help="The data set, or the folder that holds it.")] = None,
    protocol: Annotated[str | None, typer.Option(metavar="N1-N2", help="The data set's usual one by default.")] = None,
    methods: Annotated[
        str | None,
        typer.Option(metavar="a,b+OPTION=VALUE", help="All, with the bounds offline and separate, by default."),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Seeds 0, 1, ...")] = 3,
    cases: Annotated[
        str, typer.Option(metavar="shared|disjoint", help="Whether stages may be taught by the same scans.")
    ] = "shared",
    network: Annotated[str, typer.Option(metavar="unet2d|unet3d")] = "unet2d",
    preset: Annotated[str, typer.Option(metavar="quick|standard|paper")] = "quick",
    steps: Annotated[int | None, typer.Option(min=1, metavar="N", help="Optimiser steps of a stage.")] = None,
    split: Annotated[
        str, typer.Option(metavar="test|validation", help="What measures; validation to choose options by.")
    ] = "test",
    shard: Annotated[str, typer.Option(metavar="i/n", help="Do the i-th of n parts of the chains.")] = "1/1",
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda")] = "auto",
    as_json: AsJson = False,
) -> None:
    """PCDD and what it is compared with: N1 structures, then N2 more in each stage, in one softmax."""
    from IncrementalSegLib.benchmarks.ciss.run import run_ciss

    with progress_bar() as progress:
        result = run_ciss(
            out, dataset=dataset, data=data, protocol=protocol, methods=methods, seeds=seeds, cases=cases,
            network=network, preset=preset, steps=steps, split=split, shard=_part(shard), device=device,
            progress=progress,
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

    with progress_bar() as progress:
        _write_ratios(measure(device, pairs, progress), out, as_json)


@app.command("ciss-speed")
def ciss_speed(
    out: Annotated[Path, typer.Option(metavar="FILE", help="JSON file to write.")],
    pairs: Annotated[int, typer.Option(min=1, metavar="N", help="Alternating pairs of each figure.")] = 15,
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda")] = "auto",
    as_json: AsJson = False,
) -> None:
    """What a step of each class method costs beside MiB's; run it alone, with OMP_NUM_THREADS=1 on a CPU."""
    from IncrementalSegLib.benchmarks.ciss.speed import measure_classes

    with progress_bar() as progress:
        _write_ratios(measure_classes(device, pairs, progress), out, as_json)


@app.command()
def memory(
    out: Annotated[Path, typer.Option(metavar="FILE", help="JSON file to write.")],
    size: Annotated[tuple[int, int, int], typer.Option(metavar="X Y Z", help="Voxels of the scan.")] = (512, 512, 600),
    structures: Annotated[int, typer.Option(min=1, metavar="N", help="Structures of the model.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Peak memory of segmenting a large scan with a 3-D model at 3 mm, in both families."""
    from IncrementalSegLib.benchmarks.memory import measure_memory
    from IncrementalSegLib.files import write_json

    result: Json = {"runs": [measure_memory(size, structures, method) for method in ("finetune", "finetune-softmax")]}
    write_json(out, result)
    if as_json:
        print_json(result)
        return
    rows = [
        (run["method"], f"{run['peak_bytes'] / 1e9:.2f}", run["bytes_per_voxel"], run["cpu_seconds"])
        for run in result["runs"]
    ]
    print_table("Segmenting " + " x ".join(map(str, size)), ("method", "peak GB", "bytes a voxel", "CPU s"), rows)


@app.command("false-alarm")
def false_alarm(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Scans, models, one JSON per candidate or model, summary.")],
    repeats: Annotated[int, typer.Option(min=2, metavar="N", help="Phantoms: candidates with seeds 1, 2, ...")] = 20,
    data: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Real scans instead: folder with lumbar-spine-mr and hippocampus-mr."),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, metavar="N", help="Real scans: models, with the seeds 1, 2, ...")] = 3,
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda")] = "auto",
    as_json: AsJson = False,
) -> None:
    """How often the retention gate holds back what is no worse and, on real scans, misses what is."""
    if data is not None:
        _gate_errors(out, data, seeds, device, as_json)
        return
    from IncrementalSegLib.benchmarks.false_alarm import run_false_alarm

    with progress_bar() as progress:
        result = run_false_alarm(out, repeats=repeats, device=device, progress=progress)
    if as_json:
        print_json(result)
        return
    rows = [(scans, f"{100 * rate:.0f} %") for scans, rate in result["rate_by_scans"].items()]
    print_table(f"Held back of {result['repeats']} candidates", ("scans per structure", "false alarms"), rows)


def _gate_errors(out: Path, data: Path, seeds: int, device: str, as_json: bool) -> None:
    from IncrementalSegLib.benchmarks.gate.run import as_markdown, run_gate_errors

    with progress_bar() as progress:
        result = run_gate_errors(out, data, seeds=range(1, seeds + 1), device=device, progress=progress)
    if as_json:
        print_json(result)
    else:
        say(as_markdown(result))


def _part(shard: str) -> tuple[int, int]:
    """Read ``i/n``."""
    part, _, parts = shard.partition("/")
    if not (part.isdecimal() and parts.isdecimal() and 1 <= int(part) <= int(parts)):
        raise typer.BadParameter(f"{shard!r}: write for example 1/2", param_hint="--shard")
    return int(part), int(parts)


def _write_ratios(result: Json, out: Path, as_json: bool) -> None:
    from IncrementalSegLib.files import write_json

    write_json(out, result)
    if as_json:
        print_json(result)
        return
    rows = [
        (row["name"], row["median"], "{} to {}".format(*row["quartiles"]), row["limit"], row.get("memory"))
        for row in result["ratios"]
    ]
    columns = ("ratio", "median", "quartiles", "limit", "memory")
    print_table(f"{result['device']}, {result['precision']}", columns, rows)
