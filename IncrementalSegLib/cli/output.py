"""Output of commands: tables for people, one JSON object for programs, progress on standard error."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bar
from rich.table import Column, Table
from rich.text import Text

from IncrementalSegLib.cli.interrupt import Interrupt
from IncrementalSegLib.engine.settings import AdviseCall, StepCall
from IncrementalSegLib.names import visible
from IncrementalSegLib.options import fields_of
from IncrementalSegLib.progress import Progress, about, phrase
from IncrementalSegLib.types import DeviceName
from IncrementalSegLib.wire.timing import JobProgress

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else on standard output.")]
ModelPath = Annotated[Path, typer.Argument(metavar="MODEL", help="Folder of the model.")]
HELP = {name: item.description for name, item in fields_of(StepCall).items()}
"""Of options that commands without a declaration of their own share with a step."""

DataPath = Annotated[Path, typer.Option("--data", metavar="DATA", help=fields_of(AdviseCall)["data"].description)]
CaseNames = Annotated[str | None, typer.Option("--cases", metavar="FILE|a,b,c", help=HELP["cases"])]
Strict = Annotated[bool, typer.Option("--strict", help=HELP["strict"])]
AcceptGrid = Annotated[bool, typer.Option("--accept-grid", help=HELP["accept_grid"])]
Device = Annotated[DeviceName, typer.Option("--device", help=HELP["device"])]


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
def progress_bar(job: str = "") -> Iterator[Progress]:
    """Show a bar with the phase and the time left on standard error.

    Args:
        job: Name of the command, for :class:`IncrementalSegLib.progress.JobProgress`.
    """
    columns = (
        TextColumn("{task.description:<28}", markup=False),
        BarColumn(bar_width=32),
        TextColumn("{task.percentage:>3.0f} %"),
        TextColumn("{task.fields[left]}", markup=False),
        TextColumn("{task.fields[numbers]}", markup=False),
    )
    whole = JobProgress(job)
    console = Console(stderr=True)
    shown: dict[str, dict[str, float]] = {}
    with Bar(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=1.0, visible=False, numbers="", left="")

        def report(phase: str, fraction: float, numbers: Mapping[str, float] | None = None) -> None:
            Interrupt.check()
            before = whole.phase
            whole.update(phase, fraction)
            if whole.phase != before and not console.is_terminal:  # a log gets one line per phase
                say(f"{phrase(whole.phase)} ...", error=True)
            known = shown.setdefault(phase, {})
            known.update(numbers or {})
            bar.update(
                task,
                description=visible(phrase(whole.phase)),
                visible=True,
                completed=whole.fraction,
                left="" if whole.left is None else f"{about(whole.left)} left",
                numbers="  ".join(f"{visible(name)} {value:.3f}" for name, value in known.items()),
            )

        yield report
