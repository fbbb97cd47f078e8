"""Names of options and commands as the command line writes them in messages."""

from __future__ import annotations

import copy
import logging
import shlex

from IncrementalSegLib.errors import CommandRef, Hint, IncrementalSegError, OptionRef
from IncrementalSegLib.types import Json
from IncrementalSegLib.worker.log import VisibleFormatter


def flag(*path: str) -> str:
    """Return an option as it is written on the command line; of several in one, their name is in the singular.

    Example:
        >>> flag("accept_grid"), flag("limits", "harm")
        ('--accept-grid', '--limit-harm')
    """
    *groups, name = path
    return "--" + "-".join([*(group.removesuffix("s") for group in groups), name]).replace("_", "-")


def spelled(step: OptionRef | CommandRef) -> str:
    """Return what is written on the command line.

    Example:
        >>> spelled(OptionRef("device", "cpu")), spelled(OptionRef("overwrite", True))
        ('--device cpu', '--overwrite')
        >>> spelled(OptionRef("options.alpha", 0.3))
        '--option alpha=0.3'
        >>> spelled(CommandRef("resume", {"model": "my model"}))
        "`incrementalseg learn 'my model' --resume`"
    """
    if isinstance(step, CommandRef):
        return f"`{shlex.join(['incrementalseg', *_command(step)])}`"
    group, _, name = step.name.rpartition(".")
    if group == "options":
        return f"--option {name}={shlex.quote(str(step.value))}"
    value = [] if step.value in (None, True) else [shlex.quote(str(step.value))]
    return " ".join([flag(*step.name.split(".")), *value])


STATUS = {"current": "in use", "accepted": "was in use", "candidate": "candidate", "rejected": "rejected"}
"""Words for the status of a version, as in the panel."""


def devices_of(step: Json) -> str:
    """Return where a step was trained, if on several devices; else an empty text.

    Example:
        >>> devices_of({"devices": 2, "batch": 8})
        'on 2 devices, in batches of 8'
    """
    count = step.get("devices", 1)
    return f"on {count} devices, in batches of {step['batch']}" if count > 1 else ""


class CommandLineFormatter(VisibleFormatter):
    """Say options and commands in a log as they are written on the command line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the text of one record."""
        if isinstance(given := record.args, tuple):
            record = copy.copy(record)
            record.args = tuple(map(_worded, given))
        return super().format(record)


def _worded(item: object) -> object:
    match item:
        case OptionRef() | CommandRef():
            return spelled(item)
        case Hint() | IncrementalSegError():
            return item.phrased(spelled)
    return item


def _command(call: CommandRef) -> list[str]:
    given = {name: str(value) for name, value in call.arguments.items()}
    match call.verb:
        case "keep_corrections" | "discard_corrections":
            return ["correct", given.get("model", "MODEL"), "--session", call.verb.partition("_")[0]]
        case "resume":
            return ["learn", given.get("model", "MODEL"), "--resume"]
        case "remember":
            options = [word for name in ("method", "data") if name in given for word in (flag(name), given[name])]
            return ["exemplars", given.get("model", "MODEL"), "remember", *options]
    return [call.verb, *given.values()]
