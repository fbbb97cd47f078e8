"""The command ``incrementalseg``: commands, exit status and messages.

Exit status: 0 done, 1 refused or failed with a reason, 2 wrong usage, 3 trained but held back by the gate,
130 cancelled.  With ``--json`` standard output holds one JSON object; progress and logs go to standard error.
"""

from __future__ import annotations

import logging
import sys

import typer
from rich.console import Console
from rich.logging import RichHandler

from IncrementalSegLib.cli import (
    benchmark,
    check,
    demo,
    doctor,
    evaluate,
    exemplars,
    learn,
    methods,
    segment,
    structures,
    versions,
)
from IncrementalSegLib.engine.runtime import tune_process
from IncrementalSegLib.errors import IncrementalSegError

app = typer.Typer(
    name="incrementalseg",
    help="Teach a segmentation model one more structure and keep the ones it knows.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)
for _module in (
    learn, segment, evaluate, check, versions, structures, exemplars, methods, doctor, demo
):  # fmt: skip
    app.command(name=_module.__name__.rpartition(".")[2])(_module.command)
app.add_typer(benchmark.app, name="benchmark")


def main() -> None:
    """Run a command; every failure that is ours to explain ends in one message, never a traceback."""
    tune_process()
    console = Console(stderr=True)
    handler = RichHandler(console=console, show_time=False, show_path=False, show_level=True)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[handler], force=True)
    logging.getLogger("IncrementalSegLib").setLevel(logging.INFO)
    try:
        app()
    except IncrementalSegError as error:
        console.print(f"Error: {error}", style="bold red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt:
        console.print("Cancelled; nothing was changed.", style="yellow")
        sys.exit(130)
