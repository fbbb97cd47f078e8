"""The command ``incrementalseg``: commands, exit status and messages.

Exit status: 0 done, 1 refused or failed with a reason, 2 wrong usage, 3 held back by the gate (``learn``:
trained and saved as a candidate; ``gate``: it would be), 130 cancelled.  With ``--json`` standard output
holds one JSON object; progress and logs go to standard error.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from collections import Counter
from importlib import import_module
from itertools import pairwise
from keyword import iskeyword
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.logging import RichHandler
from typer.core import TyperCommand, TyperOption

from IncrementalSegLib import __version__
from IncrementalSegLib.cli.interrupt import Interrupt
from IncrementalSegLib.cli.output import say
from IncrementalSegLib.cli.streams import harden
from IncrementalSegLib.cli.words import CommandLineFormatter, spelled
from IncrementalSegLib.engine.parallel.launch import LOST, LostProcessError, is_started_here
from IncrementalSegLib.engine.process import tune_process
from IncrementalSegLib.errors import IncrementalSegError, explain

COMMANDS = (
    "learn", "advise", "estimate", "segment", "spots", "suggest", "correct", "evaluate", "check", "versions", "gate",
    "accept", "reject", "rollback", "diff", "structures", "exemplars", "export", "import", "adopt", "release",
    "privacy", "methods", "doctor", "demo"
)  # fmt: skip
"""Each is a file of this folder; a word of Python has an underscore after it there."""

TRACEBACK = "INCREMENTALSEG_TRACEBACK"
"""Environment variable that shows where a fault of the program happened."""

_CANCELLED = 130
_EMPTY = re.compile(r"(--[\w-]+=)?")


def main() -> None:
    """Run a command; every failure ends in one message, never a traceback."""
    tune_process()
    Interrupt.install()
    harden()
    handler = RichHandler(console=Console(stderr=True), show_time=False, show_path=False, show_level=True)
    handler.setFormatter(CommandLineFormatter("%(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("IncrementalSegLib").setLevel(logging.INFO)
    try:
        build()(prog_name="incrementalseg")  # also of the processes that it starts by `python -m`
    except IncrementalSegError as error:
        if is_started_here() and isinstance(error, LostProcessError):
            sys.exit(LOST)  # the process that has started this one says which has ended
        _fail(error.phrased(spelled))
    except KeyboardInterrupt:
        _cancel()
    except SystemExit as end:  # typer turns Ctrl+C into its exit status and says nothing
        if end.code != _CANCELLED:
            raise
        _cancel()
    except Exception as error:  # a person is not helped by a traceback, and a program sees the exit status
        if os.environ.get(TRACEBACK):
            raise
        told = explain(error)
        where = f" {TRACEBACK}=1 shows where it happened." if type(told) is IncrementalSegError else ""
        _fail(f"{told.phrased(spelled)}{where}")


def build() -> typer.Typer:
    """Return the application with its commands; torch is loaded by the command that needs it."""
    app = typer.Typer(
        name="incrementalseg",
        help="Teach a segmentation model one more structure and keep the ones it knows.",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    app.callback()(_options)
    for name in COMMANDS:
        file = f"{name}_" if iskeyword(name) else name
        app.command(name=name, cls=_Command)(import_module(f"IncrementalSegLib.cli.{file}").command)
    return app


class _Command(TyperCommand):
    """A command that refuses what click would misread silently.

    Of an option given twice it would take the last one, and for an empty path the current folder.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments of the command line."""
        for before, word in pairwise([self.name or "", *args]):
            if _EMPTY.fullmatch(word):
                what = f"The argument behind {word or before} is empty, perhaps an unset variable of the shell."
                raise typer.BadParameter(what, ctx=ctx)
        _, _, order = self.make_parser(ctx).parse_args(args=list(args))
        for item, count in Counter(order).items():
            if count > 1 and isinstance(item, TyperOption) and not item.multiple:
                raise typer.BadParameter("It is given more than once.", ctx=ctx, param=item)
        return super().parse_args(ctx, args)


def _tell_version(wanted: bool) -> None:
    if wanted:
        say(f"incrementalseg {__version__}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_tell_version, help="Show the version of this program."),
    ] = False,
) -> None:
    """Teach a segmentation model one more structure and keep the ones it knows."""


def _fail(text: str) -> None:
    say(f"Error: {text}", "bold red", error=True)
    sys.exit(1)


def _cancel() -> None:
    if not is_started_here():  # the process that has started this one says so
        say("Cancelled; no model and no file is left half-written.", "yellow", error=True)
    sys.exit(_CANCELLED)
