"""The quality of what a version knows, from the scores that its steps left."""

from __future__ import annotations

from collections.abc import Iterable

from IncrementalSegLib.evaluation.verdicts import HARDLY_LEARNED, POORLY_LEARNED, count_of_scans
from IncrementalSegLib.store.record import VersionRecord
from IncrementalSegLib.store.summary import newest_scores, origin_of
from IncrementalSegLib.store.versions import ModelFolder
from IncrementalSegLib.structures import Structure
from IncrementalSegLib.types import Json


def quality_warnings(folder: ModelFolder, number: int | None, structures: Iterable[Structure]) -> list[str]:
    """Return a sentence for each structure whose newest known Dice is low.

    Args:
        folder: The model.
        number: Of the version; by default the current one.
        structures: The structures in question.

    Raises:
        ModelError: There is no such version, or a file is damaged.
    """
    known = newest_scores(folder, folder.lineage(number))
    said = []
    for item in structures:
        if item.id in known and (dice := known[item.id]["dice"]) < POORLY_LEARNED:
            how = "hardly" if dice < HARDLY_LEARNED else "poorly"
            scans = count_of_scans(known[item.id]["scans"], "held-out scan")
            said.append(f"{item.name} was {how} learned (Dice {dice:.2f} on {scans}): do not rely on its outline.")
    return said


def newest_record_scores(folder: ModelFolder, record: VersionRecord) -> Json:
    """Return the newest known score of each structure of a version, in the form of its record.

    Raises:
        ModelError: A file is damaged.
    """
    newest = newest_scores(folder, folder.lineage(record.number))
    return record.scores | {
        item: {"validation_dice": score["dice"], "cases": score["scans"]} for item, score in newest.items()
    }


def hardly_learned(record: VersionRecord) -> list[str]:
    """Return the names of the structures that a step hardly taught, by their Dice on its held-out scans."""
    dice = {item: score["validation_dice"] for item, score in record.scores.items()}
    return [
        item.name for item in record.structures if (found := dice.get(item.id)) is not None and found < HARDLY_LEARNED
    ]


def list_versions(folder: ModelFolder) -> Json:
    """Return the origin of a model, and the records of all versions with status, hardly learned and unsure structures.

    Raises:
        ModelError: A file is damaged.
    """
    numbers = folder.numbers()
    return {
        "model": folder.name,
        "current": folder.current,
        "origin": origin_of(folder.document("history", numbers[-1])) if numbers else None,
        "versions": [_version(folder, folder.record(number)) for number in numbers],
    }


def _version(folder: ModelFolder, record: VersionRecord) -> Json:
    rows = folder.document("retention", record.number).get("structures", ()) if record.kind == "step" else ()
    return record.to_json() | {
        "status": folder.status(record.number),
        "hardly_learned": hardly_learned(record),
        "unsure": [row["structure"] for row in rows if row["verdict"] == "unsure"],
    }
