"""Summary of a model for front ends, read from its JSON files alone; standard library only."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import TypeVar

from IncrementalSegLib.store.correcting import Correcting, has_ended
from IncrementalSegLib.store.format import FORM_ERRORS
from IncrementalSegLib.store.reader import ModelReader, check_model
from IncrementalSegLib.store.record import VersionRecord
from IncrementalSegLib.store.state import ModelState
from IncrementalSegLib.store.unfinished import Unfinished
from IncrementalSegLib.structures import Structure
from IncrementalSegLib.types import Json, StructureId

T = TypeVar("T")


def read_summary(model: str | Path, version: int | None = None) -> Json:
    """Return what a front end shows of a model; works where neither torch nor numpy is installed.

    Args:
        model: The model's folder.
        version: Number of a version; the current one by default.

    Returns:
        ``name``, ``current``; of the version ``version``, ``status``, ``created``, ``output``, ``outputs`` (of the
        methods that can continue it), ``preprocessing``, ``retention`` (what the gate found), ``structures`` and
        ``origin`` (of an adopted model: program, folder, configuration, trainer, folds and more, else null);
        ``versions`` (all), ``candidates`` (numbers of the undecided ones), ``unfinished`` (names and fraction of a step
        that can be resumed, or null) and ``corrections`` (method, rounds and names of the scans of an open correction
        session, or null).
        A structure has, besides what it is: ``dice`` (mean over ``scans`` scans that were held out; null where there
        are none), ``step``, ``method`` and ``taught`` (UTC) of the last step that taught it, null where that is not
        known any more, and ``domain`` (what its scans were like, a phrase).

    Raises:
        IncrementalSegError: There is no such model or version, or a file is damaged.
    """
    check_model(Path(model))
    reader = ModelReader(Path(model))
    record, state = reader.record(version), ModelState.read(reader.path)
    records = {number: reader.record(number) for number in reader.numbers()}
    status = {number: state.status(number) for number in records}
    return {
        "name": state.name,
        "current": state.current,
        "version": record.number,
        "status": status[record.number],
        "created": record.created,
        "output": record.output,
        "outputs": list(record.outputs),
        "structures": _structures(reader, record, records),
        "origin": _if_known(partial(origin_of, reader.document("history", record.number)), None),
        "preprocessing": record.preprocessing,
        "retention": reader.document("retention", record.number),
        "versions": [_line(item, status[number]) for number, item in records.items()],
        "candidates": [number for number in records if status[number] == "candidate"],
        "unfinished": read_unfinished(model),
        "corrections": read_corrections(model),
    }


def read_unfinished(model: str | Path) -> Json | None:
    """Return names and fraction of the step that can be resumed, also where it is the first one.

    Returns:
        ``structures`` and ``fraction``; ``None`` where no step is unfinished: one whose version was written is not.

    Raises:
        IncrementalSegError: A file is damaged.
    """
    reader = ModelReader(Path(model))
    store = Unfinished(reader.path)
    asked = store.request()
    if not asked or _is_saved(asked, reader):
        return None
    done, planned = store.steps
    return {
        "structures": [item["name"] for item in asked["structures"]],
        "fraction": done / planned,
    }


def read_corrections(model: str | Path) -> Json | None:
    """Return what is known of the correction session of a model without torch.

    Returns:
        ``method``, ``rounds`` and ``scans`` (names); ``None`` where no session is open: one whose version was accepted
        is not.

    Raises:
        IncrementalSegError: A file is damaged.
    """
    reader = ModelReader(Path(model))
    store = Correcting(reader.path)
    asked = store.document("session")
    if not asked or has_ended(asked, reader):
        return None
    return {
        "method": asked["method"],
        "rounds": store.rounds[-1],
        "scans": [item["scan"] for item in asked["scans"]],
    }


def _is_saved(asked: Json, reader: ModelReader) -> bool:
    """Return whether a version holds what was done, so that the process died before it forgot it."""
    return any(reader.record(number).step.get("id") == asked["id"] for number in reader.numbers())


def _structures(reader: ModelReader, record: VersionRecord, records: Mapping[int, VersionRecord]) -> list[Json]:
    """Return what is known of each structure; a document of another form leaves its part unknown."""
    history, domain = (reader.document(kind, record.number) for kind in ("history", "domain"))
    created = {item.step.get("id"): item.created for item in records.values() if item.kind == "step"}
    scores = newest_scores(reader, _lineage(record, records))
    return [
        item.to_json()
        | scores.get(item.id, {"dice": None, "scans": 0})
        | _if_known(partial(_last_step, item, history, created), _last_step(item, {}, created))
        | {"domain": _if_known(partial(_domains, item, domain), "")}
        for item in record.structures
    ]


def _if_known(read: Callable[[], T], unknown: T) -> T:
    """Return what a document says, or ``unknown`` where it has another form."""
    try:
        return read()
    except FORM_ERRORS:
        return unknown


def newest_scores(reader: ModelReader, lineage: Sequence[VersionRecord]) -> dict[StructureId, Json]:
    """Return the newest Dice of each structure, from its own step or from the gate of a later one.

    Args:
        reader: The model.
        lineage: Records from the first version to the one in question.

    Returns:
        Uuid -> ``dice`` (mean, 0..1) and ``scans`` (held-out scans behind it); empty where a document has another form.

    Raises:
        ModelError: A file is damaged.
    """
    none: dict[StructureId, Json] = {}
    return _if_known(partial(_scores, reader, lineage), none)


def _scores(reader: ModelReader, lineage: Sequence[VersionRecord]) -> dict[StructureId, Json]:
    found: dict[StructureId, Json] = {}
    for known in lineage:
        for row in reader.document("retention", known.number).get("structures", ()):
            dice = [item["dice"] for item in row["after"] if item["dice"] is not None]
            if row["basis"] == "scans" and dice:
                found[row["id"]] = {"dice": fmean(dice), "scans": len(dice)}
        for item, score in known.scores.items():
            if score["validation_dice"] is not None:
                found[item] = {"dice": score["validation_dice"], "scans": score["cases"]}
    return found


def _lineage(record: VersionRecord, records: Mapping[int, VersionRecord]) -> list[VersionRecord]:
    """Return what :meth:`ModelReader.lineage` does, of records that were read already."""
    found = [record]
    while (parent := found[-1].parent) is not None and parent in records:
        found.append(records[parent])
    return found[::-1]


def origin_of(history: Json) -> Json | None:
    """Return where an adopted model comes from; ``None`` of any other.

    Args:
        history: Of any of its versions.
    """
    return next((step["origin"] for step in history.get("steps", []) if step.get("origin")), None)


def _last_step(structure: Structure, history: Json, created: Mapping[object, str]) -> Json:
    last: Json = next((step for step in reversed(history.get("steps", [])) if structure.id in step["taught"]), {})
    return {
        "step": last.get("number", structure.step),
        "method": last.get("method"),
        "taught": created.get(last["id"]) if "id" in last else None,
    }


def _domains(structure: Structure, document: Json) -> str:
    groups = document.get("groups", ())
    return "; ".join(_domain(group["domain"]) for group in groups if structure.id in group["structures"])


def _domain(domain: Json) -> str:
    """Describe scans in words: number, spacing, field of view."""
    count = domain["scans"]
    spacing, extent = (" x ".join(_range(*pair) for pair in domain[name]) for name in ("spacing", "extent"))
    return f"{count} scan{'s' * (count != 1)}, spacing {spacing} mm, field of view {extent} mm"


def _range(low: float, high: float) -> str:
    least, most = f"{low:.3g}", f"{high:.3g}"
    return least if least == most else f"{least}-{most}"


def _line(record: VersionRecord, status: str) -> Json:
    """Return of a version what a list of versions shows."""
    return {
        "number": record.number,
        "parent": record.parent,
        "kind": record.kind,
        "created": record.created,
        "held_back_by": list(record.held_back_by),
        "status": status,
        "structures": list(record.structures.names),
    }
