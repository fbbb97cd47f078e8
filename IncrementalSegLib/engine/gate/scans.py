"""Held-out scans: found again by path and content, elsewhere in a folder, or as the copy that a version keeps."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from IncrementalSegLib.engine.documents import read_document
from IncrementalSegLib.engine.history import History
from IncrementalSegLib.errors import DataError, ModelError
from IncrementalSegLib.sampling.cases import IGNORE, Case, Dataset
from IncrementalSegLib.sampling.reading import CaseReader, read_case
from IncrementalSegLib.store.manifest import fingerprint
from IncrementalSegLib.store.versions import ModelFolder
from IncrementalSegLib.types import Json, StructureId
from IncrementalSegLib.volumes.volume import Grid, Volume

KIND = "retention_scans"
"""Name of the document and of the tensors that hold copies."""

Masks = dict[StructureId, NDArray[np.bool_]]


@dataclass(frozen=True)
class RetentionCopies:
    """Copies of scans that were held out, on the scans' own grids.

    Attributes:
        scans: Fingerprint of the images -> case, patient, uuids outlined and grid.
        tensors: ``FINGERPRINT.image`` ``(C, D, H, W)`` in the scan's own dtype, and ``FINGERPRINT.UUID``
            ``(D, H, W)`` uint8, 0 or 1, and so :data:`~.cases.IGNORE` where nobody looked for anything.
    """

    scans: Mapping[str, Json] = field(default_factory=dict)
    tensors: Mapping[str, Tensor] = field(default_factory=dict)

    @classmethod
    def of(cls, folder: ModelFolder, number: int | None = None) -> RetentionCopies:
        """Read what a version keeps, the current one by default; nothing where it keeps none.

        Raises:
            ModelError: A file is damaged, or a copy is incomplete.
        """
        scans = read_document(folder, KIND, number, lambda document: dict(document.get("scans", {})))
        return cls(scans, folder.tensors(KIND, number)) if scans else cls()

    def with_case(self, case: Case, structure_of: Mapping[str, StructureId]) -> RetentionCopies:
        """Return the copies with one more scan; what is known of the same scan already stays.

        Args:
            case: A case that was held out.
            structure_of: Label name -> uuid.

        Raises:
            DataError: The case cannot be read.
        """
        volume, masks = read_case(case, [])
        key = fingerprint(case.images)
        outlined = {structure_of[name]: mask for name, mask in masks.items()}
        known = self.scans.get(key, {"structures": []})
        entry = {
            "case": case.id,
            "patient": case.patient,
            "structures": list(dict.fromkeys((*known["structures"], *outlined))),
            "grid": asdict(volume.grid),
            "padding": list(volume.padding),
        }
        tensors = {f"{key}.image": _tensor(volume.array)}
        tensors |= {f"{key}.{item}": _tensor(mask.astype(np.uint8)) for item, mask in outlined.items()}
        if volume.unlabelled is not None:
            tensors[f"{key}.{IGNORE}"] = _tensor(volume.unlabelled.astype(np.uint8))
        return replace(self, scans={**self.scans, key: entry}, tensors={**self.tensors, **tensors})

    def read(self, key: str, structures: Sequence[StructureId]) -> tuple[Volume, Masks]:
        """Return a scan and its masks.

        Raises:
            ModelError: The copy is incomplete.
        """
        grid: Json = {
            name: tuple(value) if isinstance(value, list) else value for name, value in self.scans[key]["grid"].items()
        }
        try:
            masks = {item: self.tensors[f"{key}.{item}"].numpy() > 0 for item in structures}
            unlabelled = self.tensors.get(f"{key}.{IGNORE}")
            nowhere = None if unlabelled is None else unlabelled.numpy() > 0
            padding = tuple(self.scans[key]["padding"])
            return Volume(self.tensors[f"{key}.image"].numpy(), Grid(**grid), nowhere, padding), masks
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(
                f"The copy of the scan {self.scans[key]['case']!r} is incomplete ({error}).",
                todo="Go back to another version.",
            ) from error

    def to_files(self) -> tuple[Json, dict[str, Tensor]]:
        """Return the document and the tensors; both empty where nothing is kept."""
        return ({"scans": dict(self.scans)} if self.scans else {}), dict(self.tensors)


@dataclass(frozen=True)
class RetentionScan:
    """A scan that can judge.

    Attributes:
        case: Its name, unique among the scans of a judgement.
        patient: Its patient.
        structures: Uuids of the structures that it judges.
        read: Returns the scan and its masks.
        images: Where the scan lies; empty where it is read from a copy.
    """

    case: str
    patient: str
    structures: tuple[StructureId, ...]
    read: Callable[[], tuple[Volume, Masks]]
    images: tuple[Path, ...] = ()


@dataclass(frozen=True)
class RetentionScans:
    """Scans that can judge, and those that cannot.

    Attributes:
        scans: The scans.
        missing: Uuid -> what is wrong with the scans that were held out for it and cannot judge.
    """

    scans: tuple[RetentionScan, ...]
    missing: Mapping[StructureId, tuple[str, ...]]


def find_retention_scans(
    history: History,
    structures: Sequence[StructureId],
    copies: RetentionCopies,
    moved: Dataset | None = None,
    trained: Collection[str] = (),
    only: Collection[str] | None = None,
    reader: CaseReader | None = None,
) -> RetentionScans:
    """Find the scans that were held out when the structures were taught or improved.

    Each is looked for where it lay, then by its content in ``moved``, then among the copies.

    Args:
        history: Of the version to judge.
        structures: Uuids.
        copies: Copies kept in the model.
        moved: A data set that may contain scans that were moved.
        trained: Fingerprints of scans that trained one of the versions, so that its score would be optimistic.
        only: Fingerprints of the scans to look for; all by default.
        reader: Reads the scans that lie on the disk; copies were read before.
    """
    reader = reader or CaseReader()
    elsewhere = by_content(moved) if moved is not None else {}
    scans: list[RetentionScan] = []
    missing: dict[StructureId, list[str]] = {}
    names: dict[str, str] = {}
    for entry, items in last_entries(history, structures):
        key = entry["sha256"]
        taken = entry["case"] in names.values()
        name = names.setdefault(key, f"{entry['case']} ({key[:6]})" if taken else entry["case"])
        if only is not None and key not in only:
            continue
        if key in trained:
            for item in items:
                missing.setdefault(item, []).append(f"{name} is a training scan of one of the versions")
            continue
        case, problem = locate(entry, elsewhere.get(key))
        copied = copies.scans.get(key, {}).get("structures", ())
        found = items if case is not None else tuple(item for item in items if item in copied)
        if found:
            read = _reading(reader, case, entry, found) if case is not None else partial(copies.read, key, found)
            images = case.images if case is not None else ()
            scans.append(RetentionScan(name, entry["patient"], found, read, images))
        for item in (item for item in items if item not in found):
            missing.setdefault(item, []).append(f"{name} {problem}")
    return RetentionScans(tuple(scans), {item: tuple(problems) for item, problems in missing.items()})


def last_entries(history: History, structures: Sequence[StructureId]) -> Iterator[tuple[Json, tuple[StructureId, ...]]]:
    """Yield each scan that was held out with the structures it judges; outlined twice, the later outlines hold."""
    found: dict[str, dict[StructureId, Json]] = {}
    for step in history.steps:
        for entry in step["held_out"]:
            wanted = {item: entry for item in structures if item in entry["looked_for"]}
            found.setdefault(entry["sha256"], {}).update(wanted)
    for by_structure in found.values():
        for entry in {id(entry): entry for entry in by_structure.values()}.values():
            yield entry, tuple(item for item, other in by_structure.items() if other is entry)


def locate(entry: Json, elsewhere: Case | None) -> tuple[Case | None, str]:
    """Return the case of a findable entry of a history, or what is wrong with it.

    Args:
        entry: As :func:`~IncrementalSegLib.engine.history.case_entry` made it.
        elsewhere: A case with the same images, where it does not lie in its place.
    """
    problem = "was kept neither by its place nor as a copy"
    if "images" in entry:
        case = Case(
            id=entry["case"],
            patient=entry["patient"],
            images=tuple(Path(path) for path in entry["images"]),
            looked_for=frozenset(entry["looked_for"].values()),
            label=Path(entry["label"]) if entry["label"] is not None else None,
            values={name: tuple(values) for name, values in entry["values"].items()},
            masks={name: Path(path) for name, path in entry["masks"].items()},
            **_how_read(entry),
        )
        problem = _problem(case, entry)
        if not problem:
            return case, ""
    if elsewhere is not None and not _problem(elsewhere, entry):
        values = {name: tuple(values) for name, values in entry["values"].items()}
        names = frozenset(entry["looked_for"].values())
        return replace(elsewhere, looked_for=names, values=values, **_how_read(entry)), ""
    return None, problem


def _how_read(entry: Json) -> Json:
    return {"complete": entry.get("complete", True), "by_index": entry.get("by_index", False)}


def _problem(case: Case, entry: Json) -> str:
    """Say why a case is not the one that was held out; empty where it is."""
    labels = [*([case.label] if case.label is not None else []), *case.masks.values()]
    if not all(path.exists() for path in (*case.images, *labels)):
        return "is not where it was"
    try:
        if fingerprint(case.images) != entry["sha256"]:
            return "has other contents now"
        if fingerprint(labels) != entry.get("labels_sha256"):
            return "has other outlines now"
    except DataError:
        return "cannot be read"
    return ""


def by_content(dataset: Dataset) -> dict[str, Case]:
    """Return the cases of a data set by the fingerprint of their images."""
    found = {}
    for case in dataset.cases:
        if all(path.exists() for path in case.images):
            found[fingerprint(case.images)] = case
    return found


def _reading(
    reader: CaseReader, case: Case, entry: Json, structures: Sequence[StructureId]
) -> Callable[[], tuple[Volume, Masks]]:
    narrowed = replace(case, looked_for=frozenset(entry["looked_for"][item] for item in structures))

    def read() -> tuple[Volume, Masks]:
        volume, masks = reader.read(narrowed)
        return volume, {item: masks[entry["looked_for"][item]] for item in structures}

    return read


def _tensor(array: NDArray[np.generic]) -> Tensor:
    """Return a copy as a tensor in the native byte order, which torch needs."""
    return torch.from_numpy(np.array(array, dtype=array.dtype.newbyteorder("="), order="C"))
