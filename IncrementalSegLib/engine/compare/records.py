"""Records of two versions of a model compared; no network is built and no torch loaded."""

from __future__ import annotations

from pathlib import Path

from IncrementalSegLib.errors import Hint, OptionError, OptionRef
from IncrementalSegLib.store.manifest import Manifest
from IncrementalSegLib.store.versions import ModelFolder, VersionRecord, open_model
from IncrementalSegLib.types import Json


def earlier_version(folder: ModelFolder, record: VersionRecord, number: int | None = None) -> VersionRecord:
    """Return the version that another one is compared with.

    Args:
        folder: The model.
        record: The later version.
        number: Number of the earlier one; by default the parent.

    Raises:
        OptionError: It is the same, or none is named and the version has no parent.
        UnknownNameError: There is no version of that number.
    """
    number = record.parent if number is None else number
    if number is None or number == record.number:
        raise OptionError(
            f"Version {record.number} cannot be judged against {'itself' if number else 'nothing'}.",
            "" if number else "It has no version before it.",
            Hint("Name another version with ", OptionRef("against"), "."),
        )
    return folder.record(number)


def diff(model: str | Path, first: int, second: int) -> Json:
    """Compare two versions.

    Args:
        model: The model's folder.
        first: Number of a version.
        second: Number of another one.

    Returns:
        ``{"first": SIDE, "second": SIDE, "structures": {"added", "removed", "renamed", "kept"}}``.  A side holds
        number, status, kind, made, parent, by (method or edit), data, structures with their scores, exemplars,
        gate (its sentence and what it held back), and bytes by file.

    Raises:
        UnknownNameError: There is no version of that number.
        ModelError: There is no such model, or a version is damaged.
    """
    folder = open_model(model)
    old, new = ({item.id: item.name for item in folder.record(number).structures} for number in (first, second))
    return {
        "model": folder.name,
        "first": _summary(folder, first),
        "second": _summary(folder, second),
        "structures": {
            "added": [name for item, name in new.items() if item not in old],
            "removed": [name for item, name in old.items() if item not in new],
            "renamed": [[old[item], name] for item, name in new.items() if item in old and old[item] != name],
            "kept": [name for item, name in new.items() if old.get(item) == name],
        },
    }


def _summary(folder: ModelFolder, number: int) -> Json:
    record = folder.record(number)
    exemplars = [item for item in folder.document("exemplars", number).get("exemplars", ()) if not item["banned"]]
    judged = record.kind == "step"  # an edit carries the report of the step before it
    retention = folder.document("retention", number) if judged else {}
    dice = {item: score["validation_dice"] for item, score in record.scores.items()} | _measured(retention)
    files = Manifest.read(folder.folder_of(number)).files
    return {
        "number": number,
        "status": folder.status(number),
        "kind": record.kind,
        "made": record.created,
        "parent": record.parent,
        "by": record.step.get("action") or record.step.get("method"),
        "data": record.step.get("data"),
        "structures": {item.name: dice.get(item.id) for item in record.structures},
        "exemplars": len(exemplars),
        "gate": {"sentence": retention["sentence"], "held_back_by": retention["held_back_by"]} if retention else None,
        "bytes": {name: entry.size for name, entry in files.items()},
    }


def _measured(retention: Json) -> dict[str, float]:
    """Return the Dice of the structures that the gate measured: the mean over the held-out scans for each."""
    found = {}
    for row in retention.get("structures", ()):
        values = [score["dice"] for score in row["after"] if score["dice"] is not None]
        if values and row["kind"] == "measured":
            found[row["id"]] = sum(values) / len(values)
    return found
