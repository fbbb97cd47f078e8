"""What a version is without one person: the files that change, and which structures the person taught."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from IncrementalSegLib.engine.gate.scans import KIND as COPIES
from IncrementalSegLib.engine.gate.scans import RetentionCopies
from IncrementalSegLib.engine.history import FORGOTTEN
from IncrementalSegLib.engine.memories import read_memories
from IncrementalSegLib.prototypes.bank import BACKGROUND, PrototypeBank
from IncrementalSegLib.store.atomic import encode_json
from IncrementalSegLib.store.contents import encode_tensors
from IncrementalSegLib.store.versions import ModelFolder
from IncrementalSegLib.types import Json, StructureId

_PLACES = ("images", "label", "masks")


@dataclass(frozen=True)
class Person:
    """The cases that are to be forgotten.

    Attributes:
        names: Of the cases, and of the patient where they were asked for by it.
        fingerprints: Of their images.
    """

    names: frozenset[str]
    fingerprints: frozenset[str]

    @classmethod
    def found(cls, folder: ModelFolder, name: str) -> Person | None:
        """Look for a case or patient in all versions; ``None`` where none is called so."""
        if name == FORGOTTEN:  # that is whoever was forgotten before
            return None
        entries = [entry for number in folder.numbers() for entry in mentions(folder, number)]
        meant = [entry for entry in entries if name in (entry["case"], entry["patient"])]
        if not meant:
            return None
        prints = {entry["sha256"] for entry in meant if "sha256" in entry}
        return cls(frozenset({name, *(entry["case"] for entry in meant)}), frozenset(prints))

    def is_in(self, entry: Mapping[str, Any]) -> bool:
        """Return whether an entry with ``case``, ``patient`` or ``sha256`` is about the person."""
        return bool({entry.get("case"), entry.get("patient")} & self.names) or entry.get("sha256") in self.fingerprints


def mentions(folder: ModelFolder, number: int) -> Iterator[Json]:
    """Return what a version tells of each case, one by one: in its history, its exemplars and its copies.

    Returns:
        Objects with ``case`` and ``patient``, and with the ``sha256`` of the images where it is known.
    """
    for step in folder.document("history", number).get("steps", ()):
        yield from (*step["training"], *step["set_aside"])
    for item in folder.document("exemplars", number).get("exemplars", ()):
        yield {"case": item["case"], "patient": item["patient"]}
    for key, entry in folder.document(COPIES, number).get("scans", {}).items():
        yield {"case": entry["case"], "patient": entry["patient"], "sha256": key}


def without_person(folder: ModelFolder, number: int, person: Person) -> tuple[dict[str, bytes], Json]:
    """Return which files of a version change so that it forgets a person, and what that takes.

    Returns:
        File name -> new bytes; and ``structures`` that the person taught, by name,
        ``exemplars`` and ``copied_scans``, both counted.
    """
    taught = _taught_by(folder.document("history", number), person)
    ids = {item for items in taught.values() for item in items}
    changes = _documents(folder, number, person, taught)
    _, exemplars, prototypes, _ = read_memories(folder, number)
    kept = exemplars
    for name in person.names:
        kept = kept.without_case(name).without_patient(name)
    if len(kept) < len(exemplars):
        changes |= _files("exemplars", *kept.to_files())
    if ids & set(prototypes.items):
        others = {key: item for key, item in prototypes.items.items() if key not in {*ids, BACKGROUND}}
        changes |= _files("prototypes", *PrototypeBank(others).to_files())
    copies = RetentionCopies.of(folder, number)
    gone = {key for key, entry in copies.scans.items() if person.is_in({"sha256": key, **entry})}
    if gone:
        changes |= _files(COPIES, *_without_copies(copies, gone).to_files())
    names = [item.name for item in folder.record(number).structures if item.id in ids]
    return changes, {"structures": names, "exemplars": len(exemplars) - len(kept), "copied_scans": len(gone)}


def _taught_by(history: Json, person: Person) -> dict[int, set[StructureId]]:
    """Return step -> structures that the person taught in it."""
    return {
        step["number"]: {item for entry in met for item in entry["looked_for"]} & set(step["taught"])
        for step in history.get("steps", ())
        if (met := [entry for entry in step["training"] if person.is_in(entry)])
    }


def _documents(
    folder: ModelFolder, number: int, person: Person, taught: Mapping[int, set[StructureId]]
) -> dict[str, bytes]:
    """Return the documents that change: names are blotted out, and what describes the person's scans goes."""
    pattern = re.compile("|".join(rf"(?<!\w){re.escape(name)}(?!\w)" for name in sorted(person.names, reverse=True)))
    old = {kind: folder.document(kind, number) for kind in ("record", "history", "retention", "domain")}
    new = {
        "record": _forgotten(old["record"], person),
        "history": _forgotten(old["history"], person),
        "retention": _blotted(old["retention"], pattern),
        "domain": {key: [group for group in groups if not taught.get(group["step"], set()) & set(group["structures"])]
                   for key, groups in old["domain"].items()},
    }  # fmt: skip
    return {f"{kind}.json": encode_json(item) for kind, item in new.items() if item != old[kind]}


def _forgotten(item: Any, person: Person) -> Any:
    """Return a document in which every entry of a case of the person has lost its name and its paths."""
    if isinstance(item, list):
        return [_forgotten(part, person) for part in item]
    if not isinstance(item, dict):
        return item
    if "case" in item and person.is_in(item):
        known = {key: part for key, part in item.items() if key not in _PLACES}
        return known | {key: FORGOTTEN for key in ("case", "patient") if key in item}
    return {key: _forgotten(part, person) for key, part in item.items()}


def _blotted(item: Any, pattern: re.Pattern[str]) -> Any:
    """Return a document in which no text and no key names the person."""
    if isinstance(item, list):
        return [_blotted(part, pattern) for part in item]
    if isinstance(item, dict):
        return {pattern.sub(FORGOTTEN, key): _blotted(part, pattern) for key, part in item.items()}
    return pattern.sub(FORGOTTEN, item) if isinstance(item, str) else item


def _without_copies(copies: RetentionCopies, gone: set[str]) -> RetentionCopies:
    return RetentionCopies(
        {key: entry for key, entry in copies.scans.items() if key not in gone},
        {name: item for name, item in copies.tensors.items() if name.partition(".")[0] not in gone},
    )


def _files(kind: str, document: Json, tensors: Mapping[str, Tensor]) -> dict[str, bytes]:
    return {f"{kind}.json": encode_json(document), f"{kind}.safetensors": encode_tensors(kind, tensors)}
