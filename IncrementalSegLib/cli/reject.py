"""``incrementalseg reject``: decide against a version."""

from __future__ import annotations

from IncrementalSegLib.cli.accept import VersionNumber
from IncrementalSegLib.cli.output import AsJson, ModelPath, print_json, say


def command(model: ModelPath, number: VersionNumber, as_json: AsJson = False) -> None:
    """Mark version N of MODEL as rejected; it stays on the disk and can still be accepted."""
    from IncrementalSegLib.store.versions import open_model

    folder = open_model(model)
    folder.reject(number)
    if as_json:
        print_json({"current": folder.current, "status": folder.status(number)})
    else:
        say(f"Version {number} of {model} is rejected; version {folder.current} is in use.")
