"""Pass a model on: export one version as a package, and import a package as a new model."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError

from IncrementalSegLib.engine.documents import FORMS
from IncrementalSegLib.engine.packages.card import card_of, card_page
from IncrementalSegLib.engine.packages.checks import check_domain, check_memories, check_plan, check_weights
from IncrementalSegLib.engine.packages.schema import allowed, plain_texts, pseudonymised
from IncrementalSegLib.engine.quality import newest_record_scores
from IncrementalSegLib.errors import ModelError, OptionError
from IncrementalSegLib.exemplars.memory import ExemplarMemory
from IncrementalSegLib.names import plain, tame
from IncrementalSegLib.store.contents import encode_tensors
from IncrementalSegLib.store.package import SUFFIX, pack, unpack
from IncrementalSegLib.store.package_layout import MOST_DOCUMENT, TENSORS, refused
from IncrementalSegLib.store.record import VersionRecord
from IncrementalSegLib.store.untrusted import decode_plain, decode_tensors
from IncrementalSegLib.store.versions import create_or_open, open_model
from IncrementalSegLib.types import Json


def export_package(
    model: str | Path,
    package: str | Path,
    *,
    number: int | None = None,
    include_exemplars: bool = False,
    license_text: str = "",
) -> Json:
    """Write one version of a model as one file, with all that predicting and the next step need.

    Cases, patients and exemplars are numbered, paths are left out, and no image is included unless
    ``include_exemplars``; copied retention scans never are.  The sha256 of each scan's file remains: who receives
    the model cannot make an image of it, but the model still knows which scans it was trained on, so that it
    is not tested on them.  The method's memory goes along, because it holds sums over all scans, as weights do.

    Args:
        model: The model's folder.
        package: The file to write; ``.iseg`` is appended where the name has no ending.
        number: The version; by default the current one.
        include_exemplars: Take the slices and crops along that the model remembers, with their masks.
        license_text: On what terms the model may be used, for its card.

    Returns:
        The model card, with ``path`` and ``bytes``.

    Raises:
        UnknownNameError: There is no version of that number.
        OptionError: The name has another ending.
        ModelError: The version is damaged, or the file is already there or cannot be written.
    """
    folder = open_model(model)
    target = _package_path(Path(package))
    record = folder.record(number)
    tensors = {kind: folder.tensors(kind, record.number) for kind in TENSORS}
    documents = {kind: folder.document(kind, record.number) for kind in FORMS}
    documents["record"]["scores"] = newest_record_scores(folder, record)
    memory = ExemplarMemory.from_files(documents["exemplars"], tensors["exemplars"]) if include_exemplars else None
    documents["exemplars"], tensors["exemplars"] = (memory or ExemplarMemory()).renumbered().to_files()
    documents = pseudonymised({kind: _kept(kind, document, record) for kind, document in documents.items()})
    terms = plain(license_text) or documents["card"].get("license", "")
    card = card_of(tame(folder.name), documents, tensors, terms)
    documents["card"] = card
    files = {f"{kind}.json": _encoded(kind, document, record) for kind, document in documents.items()}
    files |= {f"{kind}.safetensors": encode_tensors(kind, tensors[kind]) for kind in TENSORS}
    pack(target, files | {"card.md": card_page(card).encode()})
    return card | {"path": str(target), "bytes": target.stat().st_size}


def import_package(package: str | Path, model: str | Path) -> tuple[VersionRecord, Json]:
    """Make a new model of a package; it is read with distrust, and nothing is written before all of it was checked.

    Args:
        package: The ``.iseg`` file.
        model: Folder of the new model.

    Returns:
        Record of its first version, and its card, rebuilt from the checked documents.

    Raises:
        ModelError: The package was refused, the folder holds a model, or it cannot be written.
        UnknownNameError: The package needs a network that is not installed.
    """
    package = Path(package)
    files = unpack(package)
    needed = {*(f"{kind}.json" for kind in FORMS), *(f"{kind}.safetensors" for kind in TENSORS)}
    if absent := sorted(needed - set(files)):
        raise refused(package, f"it holds no {absent[0]}")
    tensors = {kind: decode_tensors(files[f"{kind}.safetensors"], package, f"{kind}.safetensors") for kind in TENSORS}
    documents = {kind: _read(kind, files[f"{kind}.json"], package) for kind in FORMS}
    record = VersionRecord.from_json(documents.pop("record") | {"parent": None, "accepted": True})
    check_weights(record, tensors["weights"], package)
    check_plan(record, package)
    check_memories(record, documents, tensors, package)
    check_domain(record, documents["domain"], package)
    license_text = documents["card"].get("license", "")
    folder = create_or_open(model)  # a model of its own, by the name of its folder
    with folder.writing():
        if not (there := folder.numbers()):
            record = folder.write(record, tensors, documents)
        elif not folder.current and folder.record(there[-1]) == replace(record, number=1, accepted=False):
            folder.accept(1)  # an import of the same package was killed before its last write
            record = folder.record()
        else:
            raise ModelError(
                f"{model} holds a model already.",
                "A package becomes a new model.",
                "Choose a folder that does not exist yet.",
            )
    return record, card_of(folder.name, {"record": record.to_json(), **documents}, tensors, license_text)


def _package_path(path: Path) -> Path:
    if path.suffix not in ("", SUFFIX):
        raise OptionError(
            f"The package {path.name} ends in {path.suffix}.",
            f"A package has a format of its own, with the ending {SUFFIX}.",
            f"Name it {path.stem.removesuffix(SUFFIX)}{SUFFIX}.",
        )
    return path.with_suffix(SUFFIX)


def _read(kind: str, data: bytes, package: Path) -> Json:
    document = decode_plain(data, package, f"{kind}.json")
    try:
        return allowed(kind, document)
    except ValidationError as error:
        raise refused(package, f"{kind}.json is not what a model has: {_first(error)}") from error


def _kept(kind: str, document: Json, record: VersionRecord) -> Json:
    try:
        return allowed(kind, plain_texts(document))
    except ValidationError as error:
        raise ModelError(
            f"Version {record.number} cannot be exported: its {kind}.json is not what a package may hold.",
            f"{_first(error)}.",
            "Export another version.",
        ) from error


def _encoded(kind: str, document: Json, record: VersionRecord) -> bytes:
    """Return a document without blanks, so that more of it finds room."""
    data = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    if len(data) > MOST_DOCUMENT:
        way = "Export it without exemplars, or lower their budget." if kind == "exemplars" else ""
        raise ModelError(
            f"Version {record.number} cannot be exported: its {kind}.json has {len(data)} bytes.",
            f"A package holds documents of at most {MOST_DOCUMENT} bytes, so that a hostile one is refused early.",
            way or "Pass on the model's folder instead.",
        )
    return data


def _first(error: ValidationError) -> str:
    found = error.errors(include_url=False)[0]
    return f"{'.'.join(str(part) for part in found['loc'])}: {found['msg']}"
