"""The exemplars of a model, for people: listed with reasons and pictures, pinned, banned, limited.

Each change is a new version that shares all weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from IncrementalSegLib.engine.carried import read_exemplars
from IncrementalSegLib.engine.documents import plan_of, read_document
from IncrementalSegLib.engine.history import History
from IncrementalSegLib.errors import OptionError
from IncrementalSegLib.exemplars.memory import Exemplar, ExemplarMemory
from IncrementalSegLib.progress import Phase, Progress, silent
from IncrementalSegLib.reports.pictures import Contour, outline_picture, write_png
from IncrementalSegLib.reports.slices import SliceRow
from IncrementalSegLib.store import edits as store_edits
from IncrementalSegLib.store.versions import ModelFolder, VersionRecord, open_model
from IncrementalSegLib.types import Json, StructureId

THUMBNAIL = 192
"""Longer side of a thumbnail in pixels."""


def overview(model: str | Path) -> Json:
    """Return the exemplars of the current version as data.

    Returns:
        ``version``, ``bytes``, ``budget`` (or null), ``exemplars`` and ``coverage``.  Exemplars are in the order of
        the structures that they are kept for, and of their ranks.  An exemplar has what it is and,
        for people, ``structures`` (names), ``reason``, ``mark`` (``pinned``, ``banned`` or empty), ``bytes``,
        ``kept_for`` (structure, order, rank from 1 and the share 0..1 of the set that it adds), ``images`` (paths of
        its scan) and ``position`` (x, y, z in mm, LPS), each empty or null where it is not known.  ``coverage`` has
        for each structure ``with_structure``, ``candidates``, and ``orders``: the share covered by the first, the
        first two, ... exemplars of each order.
    """
    folder = open_model(model)
    record = folder.record()
    memory = read_exemplars(folder)
    names = {item.id: item.name for item in record.structures}
    images = _images(History.of(folder))
    listing = []
    for item in sorted(memory, key=lambda item: _place(item, list(names))):
        entry = item.to_json()
        entry["structures"] = [names[key] for key in item.present if key in names]
        entry["reason"] = item.reason
        entry["mark"] = "pinned" if item.pinned else "banned" if item.banned else ""
        entry["bytes"] = memory.bytes_of(item.id)
        entry["kept_for"] = list(_kept_for(item, names))
        entry["images"] = images.get(item.case, [])
        listing.append(entry)
    return {
        "version": record.number,
        "exemplars": listing,
        "bytes": memory.storage_bytes,
        "budget": memory.limit,
        "coverage": _coverage(folder, names),
    }


def thumbnails(model: str | Path, output: str | Path, size: int = THUMBNAIL, progress: Progress = silent) -> Json:
    """Write a picture of each exemplar of the current version, with contours in the colours of the structures.

    Args:
        model: The model's folder.
        output: Folder of the pictures; they show patients.
        size: Longer side in pixels, 16 to 1024.
        progress: Receives progress.

    Returns:
        ``version``, and ``thumbnails``: id -> path.  A crop is shown in the slice where its structures are largest.

    Raises:
        IncrementalSegError: There is no such model, or the folder cannot be written.
    """
    if not 16 <= size <= 1024:
        raise OptionError(f"The size is {size} pixels.", todo="Give 16 to 1024.")
    folder = open_model(model)
    record = folder.record()
    memory = read_exemplars(folder)
    colors = {item.id: item.color for item in record.structures}
    aspect_mm = plan_of(record).spacing_mm
    written = {}
    for done, (name, scan) in enumerate(memory.scans.items()):
        progress(Phase.DRAWING, done / len(memory.scans))
        masks = {item: scan.mask(item).bool() for item in scan.structures if item in colors}
        union = torch.stack([*masks.values(), torch.zeros(scan.image.shape[1:], dtype=torch.bool)]).any(0)
        planes = [mask.numpy() for mask in masks.values()]
        row = SliceRow.of(name, scan.image.float().numpy(), union.numpy(), planes, aspect_mm)
        contours = [
            Contour(mask, colors[item])
            for item, mask in zip(masks, row.predictions, strict=True)
            if mask is not None and mask.any()
        ]
        path = Path(output) / f"{name}.png"
        write_png(path, outline_picture(row.image, contours, row.aspect, size))
        written[name] = str(path)
    progress(Phase.DRAWING, 1.0)
    return {"version": record.number, "thumbnails": written}


def _place(item: Exemplar, structures: list[StructureId]) -> tuple[int, int, str]:
    """Return the sort key of an exemplar: by the first structure it is kept for, then by its best rank."""
    kept = [
        (structures.index(key), min(ranks.values())) for key, ranks in item.ranks.items() if key in structures and ranks
    ]
    return (*min(kept, default=(len(structures), 0)), item.id)


def pin(model: str | Path, exemplar: str, on: bool = True) -> VersionRecord:
    """Keep one exemplar whatever the budget, which lifts a ban; or stop doing so.

    Raises:
        UnknownNameError: No exemplar, or more than one, has an id that begins so.
        ModelError: Its pixels were deleted.
    """
    found = read_exemplars(open_model(model)).by_id(exemplar).id
    change = {"action": "pin" if on else "unpin", "exemplar": found}
    return _edit(model, change, lambda memory: memory.pin(found, on))


def ban(model: str | Path, exemplar: str, on: bool = True) -> VersionRecord:
    """Never rehearse one exemplar again, so that the next in each order takes its place; or lift that.

    Raises:
        UnknownNameError: No exemplar, or more than one, has an id that begins so.
        ModelError: The ban cannot be lifted: its pixels were deleted.
    """
    found = read_exemplars(open_model(model)).by_id(exemplar).id
    change = {"action": "ban" if on else "unban", "exemplar": found}
    return _edit(model, change, lambda memory: memory.ban(found, on))


def budget(model: str | Path, total: int) -> VersionRecord:
    """Keep at most ``total`` exemplars; the tails of the greedy orders go first.

    Raises:
        OptionError: ``total`` is below 0.
    """
    if total < 0:
        raise OptionError(f"The budget is {total}.", todo="Give 0 or more.")
    return _edit(model, {"action": "budget", "total": total}, lambda memory: memory.budget(total))


def remove_structure(model: str | Path, name: str) -> VersionRecord:
    """Remove a structure with its outputs, prototypes, scores and exemplars; earlier versions keep them.

    Raises:
        UnknownNameError: The model knows no such structure.
        ModelError: It is the only one.
    """
    folder = open_model(model)
    with folder.writing():
        target = folder.record().structures.named(name)
        remaining = read_exemplars(folder).without_structure(target.id)
        return store_edits.remove_structure(folder, name, remaining.to_files())


def _kept_for(item: Exemplar, names: dict[StructureId, str]) -> Iterator[Json]:
    for key, ranks in item.ranks.items():
        for order, rank in ranks.items():
            if key in names:
                yield {"structure": names[key], "order": order, "rank": rank, "gain": item.gains[key][order]}


def _images(history: History) -> dict[str, list[str]]:
    """Return where the scans of the training cases lay: case -> paths."""
    return {entry["case"]: entry["images"] for step in history.steps for entry in step["training"] if "images" in entry}


def _coverage(folder: ModelFolder, names: dict[StructureId, str]) -> Json:
    """Return the coverage curves of each structure from the version that chose its exemplars last."""
    found: Json = {}
    for record in folder.lineage():
        for key, curves in read_document(folder, "selection", record.number, _curves).items():
            if key in names:
                found[names[key]] = curves
    return found


def _curves(selection: Json) -> Json:
    """Return what the listing shows of each structure's selection."""
    return {
        key: {name: summary[name] for name in ("with_structure", "candidates")} | {"orders": summary["coverage"]}
        for key, summary in selection.get("structures", {}).items()
    }


def _edit(model: str | Path, change: Json, edit: Callable[[ExemplarMemory], ExemplarMemory]) -> VersionRecord:
    folder = open_model(model)
    with folder.writing():
        document, tensors = edit(read_exemplars(folder)).to_files()
        return folder.edit(change, tensors={"exemplars": tensors}, documents={"exemplars": document})
