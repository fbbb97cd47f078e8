"""A version without one patient: the files that change, and the structures that the patient's scans trained."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from IncrementalSegLib.engine.carried import read_carried_state
from IncrementalSegLib.engine.domain import DOCUMENT as DOMAIN
from IncrementalSegLib.engine.gate.scans import KIND as COPIES
from IncrementalSegLib.engine.gate.scans import RetentionCopies
from IncrementalSegLib.engine.history import FORGOTTEN
from IncrementalSegLib.engine.privacy.naming import TOLD_APART, Names
from IncrementalSegLib.engine.privacy.traces import OWN_KEY, is_word
from IncrementalSegLib.files import encode_json
from IncrementalSegLib.names import name_key
from IncrementalSegLib.networks.task_memory import scans_in, without_scans
from IncrementalSegLib.prototypes.bank import BACKGROUND, PrototypeBank
from IncrementalSegLib.store.contents import encode_tensors
from IncrementalSegLib.store.manifest import Manifest
from IncrementalSegLib.store.versions import ModelFolder
from IncrementalSegLib.types import Json, StructureId
from IncrementalSegLib.volumes.io import name_of

_PLACES = ("images", "label", "masks")
_NOBODY = frozenset({"", FORGOTTEN})


@dataclass(frozen=True)
class Person:
    """The cases that are to be forgotten.

    Attributes:
        names: Of the cases, their files and the patient, as far as nobody who stays is called so.
        cases: Case and patient of each entry.
        fingerprints: Of their images.
    """

    names: Names
    cases: frozenset[tuple[str, str]]
    fingerprints: frozenset[str]

    @classmethod
    def found(cls, folder: ModelFolder, name: str) -> Person | None:
        """Look for a case, a patient or a file of one in all versions; ``None`` where none is called so."""
        if name_key(name) == FORGOTTEN:  # that is whoever was forgotten before
            return None
        entries = [entry for number in folder.numbers() for entry in mentions(folder, number)]
        meant = [entry for entry in entries if name in _called(entry)]
        meant = meant or [entry for entry in entries if name_key(name) in map(name_key, _called(entry))]
        if not meant:
            return None
        prints = {entry["sha256"] for entry in meant if "sha256" in entry}
        cases = {(entry["case"], entry["patient"]) for entry in meant}
        mine = [entry for entry in entries if (entry["case"], entry["patient"]) in cases or _print(entry) in prints]
        stay = [entry for entry in entries if entry not in mine]
        others = {text for entry in stay for text in (*_called(entry), *_folders(entry))}
        files = {text for entry in mine for text in (*_files_of(entry), *(_folders(entry) if stay else ()))}
        own = {name, *(text for entry in mine for text in (entry["case"], entry["patient"]))} - others
        cases = {(entry["case"], entry["patient"]) for entry in mine if entry["case"] not in _NOBODY}
        return cls(Names(own, others, files - others), frozenset(cases), frozenset(prints))

    def is_in(self, entry: Mapping[str, Any]) -> bool:
        """Return whether an entry with ``case``, ``patient`` or ``sha256`` is about the person."""
        case, patient = entry.get("case"), entry.get("patient")
        named = self.names.equal(case) or self.names.equal(patient) or (case, patient) in self.cases
        return named or _print(entry) in self.fingerprints


def _print(entry: Mapping[str, Any]) -> str:
    return str(entry.get("sha256", ""))


def _called(entry: Mapping[str, Any]) -> set[str]:
    """Return what a case, its patient and its files are called."""
    return {entry["case"], entry["patient"], *_files_of(entry)} - _NOBODY


def _files_of(entry: Mapping[str, Any]) -> set[str]:
    return {form for path in _paths(entry) for form in (str(path), path.name, name_of(path))}


def _folders(entry: Mapping[str, Any]) -> set[str]:
    return {path.parent.name for path in _paths(entry)} - {""}


def _paths(entry: Mapping[str, Any]) -> list[Path]:
    label = [entry["label"]] if entry.get("label") else []
    return [Path(path) for path in (*entry.get("images", ()), *entry.get("masks", {}).values(), *label)]


def mentions(folder: ModelFolder, number: int) -> Iterator[Json]:
    """Return what a version tells of each case, one by one: in history, record, gate, exemplars and copies.

    Returns:
        Objects with ``case`` and ``patient``, and with the ``sha256`` of the images where it is known.
    """
    for step in folder.document("history", number).get("steps", ()):
        yield from (*step["training"], *step["held_out"])
    for item in folder.document("exemplars", number).get("exemplars", ()):
        yield {"case": item["case"], "patient": item["patient"]}
    record = folder.document("record", number)["step"]
    yield from (*record.get("training", ()), *record.get("held_out", ()))
    yield from _answers(folder.document("retention", number))
    for key, entry in folder.document(COPIES, number).get("scans", {}).items():
        yield {"case": entry["case"], "patient": entry["patient"], "sha256": key}


def without_person(folder: ModelFolder, number: int, person: Person) -> tuple[dict[str, bytes], Json]:
    """Return which files of a version change so that it forgets a person, and what that takes.

    Returns:
        File name -> new bytes; and ``structures`` that the person taught, by name,
        ``exemplars``, ``copied_scans`` and ``embeddings``, all counted.
    """
    taught = _taught_by(folder.document("history", number), person)
    ids = {item for items in taught.values() for item in items}
    changes = _documents(folder, number, person, taught)
    _, exemplars, prototypes, _ = read_carried_state(folder, number)
    gone_ids = [item.id for item in exemplars if person.is_in({"case": item.case, "patient": item.patient})]
    kept = exemplars.without(gone_ids)
    if len(kept) < len(exemplars):
        changes |= _files("exemplars", *kept.to_files())
    if ids & set(prototypes.items):
        others = {key: item for key, item in prototypes.items.items() if key not in {*ids, BACKGROUND}}
        changes |= _files("prototypes", *PrototypeBank(others).to_files())
    copies = RetentionCopies.of(folder, number)
    gone = {key for key, entry in copies.scans.items() if person.is_in({"sha256": key, **entry})}
    if gone:
        changes |= _files(COPIES, *_without_copies(copies, gone).to_files())
    weights = embedding_weights(folder, number)
    described = person.fingerprints.intersection(scans_in(weights))
    if described:
        changes["weights.safetensors"] = encode_tensors("weights", without_scans(weights, described))
    return changes, {
        "structures": [item.name for item in folder.record(number).structures if item.id in ids],
        "exemplars": len(exemplars) - len(kept),
        "copied_scans": len(gone),
        "embeddings": len(described),
    }


def embedding_weights(folder: ModelFolder, number: int) -> dict[str, Tensor]:
    """Return the weights of a version with a task memory; nothing without one."""
    has_memory = folder.record(number).architecture.get("tasks")
    return folder.tensors("weights", number) if has_memory else {}


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
    changes: dict[str, bytes] = {}
    files = Manifest.read(folder.folder_of(number)).files
    for kind in (name.removesuffix(".json") for name in files if name.endswith(".json")):
        old = folder.document(kind, number)
        new = _forgotten(old, person, ())
        if kind == DOMAIN:
            new["groups"] = [
                group
                for group in new.get("groups", ())
                if not taught.get(group["step"], set()) & set(group["structures"])
            ]
        if new != old:
            changes[f"{kind}.json"] = encode_json(new)
    return changes


def _forgotten(item: Any, person: Person, way: tuple[str, ...]) -> Any:
    """Return a document in which nothing names the person and no entry of a case of the person has a place."""
    if isinstance(item, list):
        return [_forgotten(part, person, way) for part in item]
    if isinstance(item, str):
        return item if is_word(way, person.names) else person.names.without(item)
    if not isinstance(item, dict):
        return item
    if "case" in item and person.is_in(item):
        known = {key: part for key, part in item.items() if key not in _PLACES}
        item = known | {key: FORGOTTEN for key in ("case", "patient") if key in item}
    return {
        key if OWN_KEY.fullmatch(key) or is_word(way, person.names) else person.names.without(key): _forgotten(
            part, person, (*way, key)
        )
        for key, part in item.items()
    }


def _answers(item: Any) -> Iterator[Json]:
    """Yield the cases that a document of the gate names."""
    if isinstance(item, list):
        for part in item:
            yield from _answers(part)
    elif isinstance(item, dict):
        if isinstance(item.get("case"), str):
            yield {"case": re.sub(TOLD_APART, "", item["case"]), "patient": item.get("patient") or item["case"]}
        for part in item.values():
            yield from _answers(part)


def _without_copies(copies: RetentionCopies, gone: set[str]) -> RetentionCopies:
    return RetentionCopies(
        {key: entry for key, entry in copies.scans.items() if key not in gone},
        {name: item for name, item in copies.tensors.items() if name.partition(".")[0] not in gone},
    )


def _files(kind: str, document: Json, tensors: Mapping[str, Tensor]) -> dict[str, bytes]:
    return {f"{kind}.json": encode_json(document), f"{kind}.safetensors": encode_tensors(kind, tensors)}
