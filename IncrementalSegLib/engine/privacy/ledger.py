"""The privacy ledger: list the patient data in a model, remove all pieces of scans, or forget one case."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

from IncrementalSegLib.engine.gate.scans import KIND as COPIES
from IncrementalSegLib.engine.history import FORGOTTEN, History
from IncrementalSegLib.engine.privacy.person import Person, embedding_weights, mentions, without_person
from IncrementalSegLib.engine.privacy.traces import find_traces
from IncrementalSegLib.errors import CommandRef, Hint, ModelError, UnknownNameError
from IncrementalSegLib.files import encode_json
from IncrementalSegLib.networks.task_memory import scans_in
from IncrementalSegLib.prototypes.bank import FEW_PATIENTS
from IncrementalSegLib.store.correcting import Correcting
from IncrementalSegLib.store.manifest import Manifest
from IncrementalSegLib.store.rewrite import left_over, rewrite, sweep
from IncrementalSegLib.store.unfinished import UNFINISHED, Unfinished
from IncrementalSegLib.store.versions import ModelFolder, open_model
from IncrementalSegLib.types import Json


def ledger(model: str | Path, number: int | None = None) -> Json:
    """Return what patient-derived data a model holds, version by version.

    Args:
        model: The model's folder.
        number: Only this version; all by default.

    Raises:
        UnknownNameError: There is no version of that number.
        ModelError: A file is damaged.
    """
    folder = open_model(model)
    numbers = folder.numbers() if number is None else [folder.record(number).number]
    return {
        "model": folder.name,
        "versions": [_holdings(folder, item) for item in numbers],
        "unfinished_step": (folder.path / UNFINISHED).exists(),
        "corrections": bool(Correcting(folder.path).rounds),
        "left_over": [str(path) for item in numbers for path in left_over(folder.folder_of(item))],
        "open_to_others": os.name == "posix" and bool(folder.path.stat().st_mode & 0o077),
    }


def strip(model: str | Path) -> Json:
    """Remove the exemplars and the copied retention scans of every version, for good.

    Killed in between, every version is as it was or stripped; doing it again finishes.

    Returns:
        ``versions`` that changed, ``exemplars`` and ``copied_scans`` removed (each counted once), and ``costs``.

    Raises:
        ModelError: A step is unfinished, a file is damaged, or the folder cannot be written.
    """
    folder = open_model(model)
    with folder.writing():
        _ready(folder)
        changed, exemplars, copies = [], set(), set()
        for number in folder.numbers():
            held = folder.document("exemplars", number)
            copied = folder.document(COPIES, number).get("scans", {})
            exemplars |= {item["id"] for item in held.get("exemplars", ())}
            copies |= set(copied)
            if held.get("exemplars") or copied:
                changed.append(number)
                empty: Json = {"exemplars": [], "outlined": {}, "budget": held.get("budget")}
                dropped = dict.fromkeys(("exemplars.safetensors", f"{COPIES}.json", f"{COPIES}.safetensors"))
                rewrite(folder.folder_of(number), {**dropped, "exemplars.json": encode_json(empty)})
    costs: list[str] = []
    if exemplars:
        costs.append(
            Hint(
                "Methods that rehearse have nothing of these structures to rehearse until exemplars are chosen again "
                "from their scans: ",
                CommandRef("remember", {"model": str(folder.path), "data": "DATA", "method": "METHOD"}),
                ".",
            )
        )
        costs.append(
            "The gate has less evidence without exemplars: on fewer than five scans, the same loss may now count as "
            "harmed in place of unsure."
        )
    if copies:
        costs.append(
            "The retention gate can judge these structures on their scans only where it still finds the files."
        )
    return {"versions": changed, "exemplars": len(exemplars), "copied_scans": len(copies), "costs": costs}


def forget(model: str | Path, name: str) -> Json:
    """Remove everything of one case or patient from every version, as far as it can be removed, and make sure of it.

    Exemplars, copied scans, embeddings, names and paths go; scores of the person stay without a name.  So do the mean
    features and the description of the scans of each structure that it taught go, because they cannot be made again
    without it.  The sha256 of its files stays: weights cannot forget, and a model that was trained on a scan must not
    be tested on it.

    Where a case is named and other cases of the patient stay, the patient's name stays with them.  Afterwards all files
    of the model are looked through.

    Killed in between, every version is as it was or has forgotten; doing it again finishes.

    Args:
        model: The model's folder.
        name: The case, the patient, or a file of the case; without regard to case, blanks and Unicode form.

    Returns:
        ``scans`` forgotten, and by version the structures that it taught, the exemplars, copies and embeddings
        removed; ``files`` looked through, and ``words``: where a name still stands because it is a word of the program,
        or all of the name of a structure or label.

    Raises:
        UnknownNameError: The model knows no such case or patient.
        ModelError: A step is unfinished, a file is damaged, the folder cannot be written, or a file still names the
            person: one that the program did not make, or the name of a structure.
    """
    folder = open_model(model)
    with folder.writing():
        _ready(folder)
        person = Person.found(folder, name)
        if person is None:
            known = {entry["case"] for number in folder.numbers() for entry in mentions(folder, number)}
            raise UnknownNameError("case", name, known - {FORGOTTEN})
        if person.names.are_among_words(folder.name):
            folder.rename(person.names.without(folder.name))
        rows = []
        for number in folder.numbers():
            changes, row = without_person(folder, number, person)
            rewrite(folder.folder_of(number), changes)
            rows.append({"version": number, **row})
        traces, files = find_traces(folder.path, person.names)
    left = [trace for trace in traces if not trace.word]
    if left:
        more = f", and in {len(left) - 1} more places" if len(left) > 1 else ""
        raise ModelError(
            f"All that the program wrote of {name!r} is forgotten, but a name remains in {left[0]}{more}.",
            "It is part of a structure's name, or of a file that the program did not write.",
            "If it means the person, delete the file; a structure's name stays until the model is deleted.",
        )
    words = [str(trace) for trace in traces]
    return {"forgotten": name, "scans": len(person.fingerprints), "versions": rows, "files": files, "words": words}


def _ready(folder: ModelFolder) -> None:
    """Refuse while a step is unfinished or a correction session open, and remove what an interrupted run left."""
    unfinished = Unfinished(folder.path)
    if unfinished.exists:
        raise ModelError(
            "The model has an unfinished step.",
            "Its checkpoint holds data of its own.",
            Hint(
                "Finish it with ",
                CommandRef("resume", {"model": str(folder.path)}),
                f", or give it up by deleting {unfinished.path}.",
            ),
        )
    unfinished.remove()
    if Correcting(folder.path).rounds:
        raise ModelError(
            "The model has corrections that are neither kept nor discarded.",
            "They hold parts of scans.",
            Hint(
                "Keep them with ",
                CommandRef("keep_corrections", {"model": str(folder.path)}),
                ", or discard them with ",
                CommandRef("discard_corrections", {"model": str(folder.path)}),
                ".",
            ),
        )
    for number in folder.numbers():
        sweep(folder.folder_of(number))


def _holdings(folder: ModelFolder, number: int) -> Json:
    record = folder.record(number)
    files = Manifest.read(folder.folder_of(number)).files
    sizes = {kind: entry.size for kind in ("exemplars", COPIES) if (entry := files.get(f"{kind}.safetensors"))}
    names = {item.id: item.name for item in record.structures}
    held = folder.document("exemplars", number)
    exemplars = [item for item in held.get("exemplars", ()) if item["id"] in held["outlined"]]  # of others no pixel
    copies = folder.document(COPIES, number).get("scans", {}).values()
    entries = list(mentions(folder, number))
    paths = {path for entry in entries for path in (*entry.get("images", ()), entry.get("label")) if path}
    return {
        "version": number,
        "status": folder.status(number),
        "exemplars": {
            "count": len(exemplars),
            "bytes": sizes.get("exemplars", 0),
            "cases": dict(Counter(item["case"] for item in exemplars)),
        },
        "copied_scans": {
            "count": len(copies),
            "bytes": sizes.get(COPIES, 0),
            "cases": [item["case"] for item in copies],
        },
        "prototypes": [
            {"structure": names.get(key, key), "voxels": item["count"], "patients": item["patients"],
             "few_patients": item["patients"] <= FEW_PATIENTS}
            for key, item in folder.document("prototypes", number).get("prototypes", {}).items()
        ],
        "domains": [
            {"structures": [names[item] for item in group["structures"] if item in names],
             "scans": group["domain"]["scans"], "few_patients": group["domain"]["scans"] <= FEW_PATIENTS}
            for group in folder.document("domain", number).get("groups", ())
        ],
        "embeddings": len(scans_in(embedding_weights(folder, number))),
        "cases": sorted({entry["case"] for entry in entries} - {FORGOTTEN}),
        "patients": sorted({entry["patient"] for entry in entries} - {FORGOTTEN}),
        "forgotten_scans": len(History.of(folder, number).forgotten),
        "paths": sorted(paths),
    }  # fmt: skip
