"""``incrementalseg benchmark``: speed, memory, and errors of the gate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from IncrementalSegLib.cli.output import AsJson, Device, print_json, print_table, progress_bar, say
from IncrementalSegLib.types import DeviceName, Json

app = typer.Typer(help="Measure speed, memory, and errors of the gate.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Measure speed, memory, and errors of the gate."""


@app.command()
def speed(
    out: Annotated[Path, typer.Option(metavar="FILE", help="JSON file to write.")],
    pairs: Annotated[int, typer.Option(min=1, metavar="N", help="Alternating pairs of each figure.")] = 15,
    device: Device = "auto",
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
    device: Device = "auto",
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
    device: Device = "auto",
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


def _gate_errors(out: Path, data: Path, seeds: int, device: DeviceName, as_json: bool) -> None:
    from IncrementalSegLib.benchmarks.gate.run import as_markdown, run_gate_errors

    with progress_bar() as progress:
        result = run_gate_errors(out, data, seeds=range(1, seeds + 1), device=device, progress=progress)
    if as_json:
        print_json(result)
    else:
        say(as_markdown(result))


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
