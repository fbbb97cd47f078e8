"""Open a manifest: a CSV or JSON table with one row per case, for scans in any layout.

Columns: ``image`` (channels separated by ``;``), ``patient``, ``looked_for`` (names separated by ``;``), ``label``
(integer map, ``.seg.nrrd`` or ``NAME=mask;NAME2=mask2``), ``values`` (``1=liver;2=spleen``) and ``case``.  Every other
column is the name of a structure and holds its mask files.  Relative paths start at the manifest.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from IncrementalSegLib.errors import DataError, UnknownNameError
from IncrementalSegLib.sampling.cases import IGNORE, Case, Dataset
from IncrementalSegLib.sampling.readers_folders import collected, named_values, read_json
from IncrementalSegLib.volumes.io import name_of
from IncrementalSegLib.volumes.labels import segment_names

COLUMNS = ("image", "patient", "looked_for", "label", "values", "case")
_VALUE_TABLE = "labels.json"

Values = dict[str, tuple[int, ...]]


def open_manifest(path: Path) -> Dataset:
    """Open a CSV or JSON manifest; of the labels only the headers of ``.seg.nrrd`` files are read.

    Args:
        path: The manifest. A JSON manifest is a list of rows, or ``{"labels": ..., "cases": [rows]}``.

    Raises:
        DataError: The file is no manifest, or a row cannot be understood; the message names the row.
        UnknownNameError: A row looks for a name that occurs nowhere else.
    """
    rows, shared = _rows_of_json(path) if path.suffix.lower() == ".json" else (_rows_of_csv(path), None)
    if shared is None and (path.parent / _VALUE_TABLE).is_file():
        shared = named_values(read_json(path.parent / _VALUE_TABLE), path.parent / _VALUE_TABLE)
    cases, unsure = [], set()
    for number, row in enumerate(rows, start=1):
        case, undeclared = _case(row, path.parent, shared or {}, f"Row {number} of {path.name}")
        cases.append(case)
        unsure |= undeclared
    declared = _declared(cases)
    for name in sorted(unsure):
        if name.casefold() not in {known.casefold() for known in declared}:
            raise UnknownNameError("label", name, declared, f"A row of {path.name} looks for it.")
    names = {name.casefold(): name for case in cases for name in sorted(case.looked_for)}
    ordered = {name.casefold(): name for name in declared} | names
    return collected(path.parent.name or path.stem, path, ordered.values(), cases)


def _rows_of_csv(path: Path) -> list[dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read ({error}).", todo="Save the table as CSV in UTF-8.") from error
    head = text.partition("\n")[0]
    # A table saved where the comma is the decimal sign has ";" or tabs between its columns.
    delimiter = max(",\t;", key=lambda mark: (head.count(mark), mark == ","))
    table = csv.DictReader(text.splitlines(), delimiter=delimiter, skipinitialspace=True)
    rows: list[dict[str, Any]] = []
    for row in table:
        if None in row or any(isinstance(cell, list) for cell in row.values()):
            raise DataError(
                f"Row {len(rows) + 1} of {path.name} has more cells than the table has columns.",
                todo='Put cells that hold the separator into quotes ("a;b").',
            )
        cells = {key.strip(): (cell or "").strip() for key, cell in row.items() if key and key.strip()}
        if any(cells.values()):
            rows.append(cells)
    return _with_images(rows, path)


def _rows_of_json(path: Path) -> tuple[list[dict[str, Any]], Values | None]:
    content = read_json(path)
    shared = None
    if isinstance(content, Mapping):
        shared = named_values(content["labels"], path) if "labels" in content else None
        content = content.get("cases")
    if not isinstance(content, list) or not all(isinstance(row, Mapping) for row in content):
        raise DataError(
            f"{path} holds no list of cases.", todo='Write {"cases": [{"image": PATH, "label": PATH}, ...]}.'
        )
    return _with_images([dict(row) for row in content], path), shared


def _with_images(rows: list[dict[str, Any]], path: Path) -> list[dict[str, Any]]:
    folded = [{_column(key): cell for key, cell in row.items()} for row in rows]
    if not folded or not any("image" in row for row in folded):
        raise DataError(
            f"{path} is no manifest: it has no column 'image' or no row.", todo=f"Its columns are {', '.join(COLUMNS)}."
        )
    return folded


def _column(header: str) -> str:
    known = header.strip().casefold().replace(" ", "_")
    return known if known in COLUMNS else header.strip()


def _case(row: Mapping[str, Any], root: Path, shared: Values, where: str) -> tuple[Case, set[str]]:
    """Return a row's case, and the names that it looks for without declaring where they are."""
    images = tuple(root / part for part in _parts(row.get("image")))
    if not images:
        raise DataError(f"{where} names no image.", todo="Fill the column 'image'.")
    label, masks = _label(row.get("label"), root)
    masks |= _mask_columns(row, root)
    asked = _parts(row.get("looked_for"))
    values = _values(row.get("values"), where) or dict(shared)
    if label is not None and not values and len(asked) == 1 and not _segments(label) and not _is_seg(label):
        # One structure and no table: whatever is not zero is that structure.
        masks, label = {asked[0]: label} | masks, None
    values = {} if label is None or _segments(label) else values
    declared = [*masks, *(_names_in(label, values, asked, masks, where) if label is not None else ())]
    spelled = {name.casefold(): name for name in declared}
    looked_for = {spelled.get(name.casefold(), name) for name in asked} or set(declared)
    undeclared = {name for name in looked_for if name.casefold() not in spelled}
    if undeclared and values:
        raise UnknownNameError("label", min(undeclared), declared, f"{where} looks for it.")
    case_id = str(row.get("case") or name_of(images[0]))
    patient = str(row.get("patient") or case_id)
    case = Case(case_id, patient, images, frozenset(looked_for), label, values, masks)
    return case, undeclared if label is None else set()


def _names_in(label: Path, values: Values, asked: list[str], masks: Mapping[str, Path], where: str) -> Iterable[str]:
    """Return the structures that a label file declares; a broken ``.seg.nrrd`` is left to the check of its case."""
    segments = _segments(label)
    in_masks = {name.casefold() for name in asked} <= {name.casefold() for name in masks}
    if not segments and not values and not _is_seg(label) and not (asked and in_masks):
        raise DataError(
            f"{where}: nothing says which values of {label.name} mean which structure.",
            todo="Fill the column 'values' (1=liver;2=spleen), or put a labels.json beside the manifest.",
        )
    return segments or [name for name in values if name != IGNORE]


def _declared(cases: Iterable[Case]) -> list[str]:
    names: dict[str, str] = {}
    for case in cases:
        values = (name for name in case.values if name != IGNORE)
        for name in (*values, *case.masks, *sorted(case.looked_for if case.label is not None else ())):
            names.setdefault(name.casefold(), name)
    return list(names.values())


def _parts(cell: object) -> list[str]:
    parts = cell if isinstance(cell, (list, tuple)) else str(cell or "").split(";")
    return [str(part).strip() for part in parts if str(part).strip()]


def _label(cell: object, root: Path) -> tuple[Path | None, dict[str, Path]]:
    """Read the column ``label``: a path, or ``NAME=mask;NAME2=mask2``."""
    if isinstance(cell, Mapping):
        return None, {str(name).strip(): root / str(path) for name, path in cell.items() if path}
    text = str(cell or "").strip()
    if not text:
        return None, {}
    if "=" not in text or (root / text).exists():
        return root / text, {}
    pairs = (part.partition("=") for part in _parts(text))
    return None, {name.strip(): root / path.strip() for name, _, path in pairs if name.strip() and path.strip()}


def _mask_columns(row: Mapping[str, Any], root: Path) -> dict[str, Path]:
    masks: dict[str, Path] = {}
    for column, cell in row.items():
        if column == "masks" and isinstance(cell, Mapping):
            masks |= {str(name): root / str(path) for name, path in cell.items() if path}
        elif column not in COLUMNS and cell:
            masks[column] = root / str(cell)
    return masks


def _values(cell: object, where: str) -> Values:
    """Read the column ``values``: ``1=liver;2=spleen`` (a name may have several values), or a JSON table."""
    if isinstance(cell, Mapping):
        return named_values(cell, Path(where))
    found: dict[str, tuple[int, ...]] = {}
    for part in _parts(cell):
        number, _, name = (piece.strip() for piece in part.partition("="))
        number, name = (name, number) if not number.isdigit() else (number, name)
        if not number.isdigit() or not name:
            raise DataError(f"{where} has the values {cell!r}.", todo="Write them as 1=liver;2=spleen.")
        name = IGNORE if name.casefold() == IGNORE else name
        if int(number):
            found[name] = (*found.get(name, ()), int(number))
    return found


def _segments(label: Path) -> tuple[str, ...]:
    """Return the names in a ``.seg.nrrd``; empty for other files and for one that cannot be read."""
    if label.suffix.lower() not in (".nrrd", ".nhdr") or not label.is_file():
        return ()
    try:
        return segment_names(label)
    except DataError:
        return ()


def _is_seg(label: Path) -> bool:
    return label.name.lower().endswith((".seg.nrrd", ".seg.nhdr"))
