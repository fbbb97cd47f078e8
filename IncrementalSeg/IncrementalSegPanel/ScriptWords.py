"""Names and refusals for scripts: arguments, and the verbs of the worker as a script calls them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import slicer

from IncrementalSegLib.errors import CommandRef, DataError, OptionRef
from IncrementalSegLib.store.summary import read_summary
from IncrementalSegLib.structures import Structure
from IncrementalSegPanel.Translation import _

_METHODS = {
    "discard_corrections": "discardCorrections()",
    "doctor": "doctor()",
    "keep_corrections": "keepCorrections()",
    "learn": "teach(...)",
    "methods": "methods()",
    "resume": "resume()",
}
"""The method of Scripting that stands for a verb of the worker."""


def checkScan(volumeNode: Any) -> None:
    """Refuse a value that is not a scan.

    Raises:
        DataError: It is not a volume node.
    """
    if not isinstance(volumeNode, slicer.vtkMRMLScalarVolumeNode):
        raise DataError(
            _("{value} is not a scan.").format(value=repr(volumeNode)),
            _("A scan is a volume node of the scene."),
            _("Load one, or find it in the scene: slicer.util.getNode(NAME)."),
        )


def structuresOf(model: Path) -> list[Structure]:
    """Return the structures that a model knows."""
    return [Structure.from_json(item) for item in read_summary(model)["structures"]]


def scriptWords(step: OptionRef | CommandRef) -> str:
    """Return what an option or a command that a message names is called in a script."""
    if isinstance(step, OptionRef):
        return str(step)
    given = "".join(f", {OptionRef(name, value)}" for name, value in step.arguments.items())
    return _METHODS.get(step.verb, f'do("{step.verb}"{given})')
