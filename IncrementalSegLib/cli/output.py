"""What commands print: tables for people, one JSON object for programs, progress on standard error."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Column, Table
from rich.text import Text

from IncrementalSegLib.cli.interrupt import Interrupt
from IncrementalSegLib.engine.progress import Progress
from IncrementalSegLib.names import visible
from IncrementalSegLib.progress import phrase

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else on standard output.")]
ModelPath = Annotated[Path, typer.Argument(metavar="MODEL", help="Folder of the model.")]
DataPath = Annotated[Path, typer.Option("--data", metavar="DATA", help="nnU-Net or Decathlon folder, or a manifest.")]
CaseNames = Annotated[
    str | None, typer.Option("--cases", metavar="FILE|a,b,c", help="Case ids, or a file with one id per line.")
]
Strict = Annotated[
    bool, typer.Option("--strict", help="Stop where `check` has anything to say about a case, warnings included.")
]
AcceptGrid = Annotated[
    bool,
    typer.Option(
        "--accept-grid",
        help="Take labels of their image's size voxel by voxel, wherever their headers put them.",
    ),
]
DeviceName = Annotated[str, typer.Option("--device", metavar="auto|cpu|cuda", help="Where to compute.")]


def print_json(data: Mapping[str, Any]) -> None:
    """Print one JSON object on one line of standard output, in ASCII, which every encoding of a pipe keeps."""
    typer.echo(json.dumps(data, allow_nan=False, default=str))


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table on standard output; ``None`` is shown as a dash."""
    table = Table(*(Column(Text(visible(column))) for column in columns), box=None, header_style="bold", pad_edge=False)
    for row in rows:
        table.add_row(*(Text("-" if cell is None else visible(str(cell))) for cell in row))
    say(f"\n{title}", style="bold")
    Console().print(table)


def say(text: str, style: str | None = None, *, error: bool = False) -> None:
    """Print a sentence on standard output or error; what would steer the terminal is written out."""
    Console(stderr=error).print(visible(text, lines=True), style=style, markup=False, highlight=False, soft_wrap=True)


def number(value: float | None, digits: int = 3) -> str | None:
    """Return a number as shown in tables."""
    return None if value is None else f"{value:.{digits}f}"


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """Show phases with a bar and the time left on standard error."""
    columns = (
        TextColumn("{task.description:<28}", markup=False),
        BarColumn(bar_width=32),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[numbers]}", markup=False),
    )
    tasks: dict[str, TaskID] = {}
    shown: dict[str, dict[str, float]] = {}
    console = Console(stderr=True)
    with Bar(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:

        def report(phase: str, fraction: float, numbers: Mapping[str, float] | None = None) -> None:
            Interrupt.check()
            if phase not in tasks:
                for task in tasks.values():
                    bar.remove_task(task)
                tasks.clear()
                if not console.is_terminal:  # a log gets one line per phase
                    say(f"{phrase(phase)} ...", error=True)
                tasks[phase] = bar.add_task(visible(phrase(phase)), total=1.0, numbers="")
            known = shown.setdefault(phase, {})
            known.update(numbers or {})
            text = "  ".join(f"{visible(name)} {value:.3f}" for name, value in known.items())
            bar.update(tasks[phase], completed=fraction, numbers=text)

        yield report
