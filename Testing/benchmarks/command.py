"""A function as a command: a refusal ends in one message, not in a traceback."""

from __future__ import annotations

import sys
from collections.abc import Callable

import typer

from IncrementalSegLib.cli.interrupt import Interrupt
from IncrementalSegLib.cli.output import say
from IncrementalSegLib.engine.process import tune_process
from IncrementalSegLib.errors import IncrementalSegError


def run_command(function: Callable[..., None]) -> None:
    """Run a function with the arguments of the command line and exit."""
    tune_process()
    Interrupt.install()
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    app.command()(function)
    try:
        app()
    except IncrementalSegError as error:
        say(f"Error: {error}", "bold red", error=True)
        sys.exit(1)
