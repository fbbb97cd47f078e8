"""``--events``: progress as lines of JSON on standard output, the same that a worker sends."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import typer

import IncrementalSegLib
from IncrementalSegLib.cli.interrupt import Interrupt
from IncrementalSegLib.errors import explain
from IncrementalSegLib.store.unfinished import Unfinished
from IncrementalSegLib.types import Json
from IncrementalSegLib.wire import events
from IncrementalSegLib.wire.reporter import Reporter
from IncrementalSegLib.worker.log import Log


class EventLines(Reporter):
    """A progress whose events are printed."""

    def __call__(self, phase: str, fraction: float, numbers: Mapping[str, float] | None = None) -> None:
        """Print progress, or end the work where Ctrl+C asks for it."""
        Interrupt.check()
        super().__call__(phase, fraction, numbers)


@contextmanager
def event_lines(job: str, model: Path) -> Iterator[EventLines]:
    """Print progress, warnings and a failure of a command as events.

    Args:
        job: Name of the command.
        model: The model that it works on.
    """
    log = Log(lambda text: _print(events.Warned(job, text)))
    logging.getLogger().addHandler(log)
    _print(events.Hello(IncrementalSegLib.__version__, events.PROTOCOL, os.getpid()))
    try:
        yield EventLines(job, _print, verb=job)
    except KeyboardInterrupt:
        _print(events.Cancelled(job, kept=Unfinished(model).exists))
        raise
    except typer.BadParameter:  # the usage goes to standard error
        raise
    except Exception as error:
        _print(events.Failed.of(job, explain(error), log.tail()))
        raise
    finally:
        logging.getLogger().removeHandler(log)


def print_finished(job: str, result: Json) -> None:
    """Print the last event of a command that is done."""
    _print(events.Finished(job, result))


def _print(event: events.Event) -> None:
    typer.echo(events.encode(event))
