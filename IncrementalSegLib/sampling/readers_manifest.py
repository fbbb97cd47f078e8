"""Open a manifest: a CSV or JSON table with one row per case, for scans in any layout.

Columns: ``image`` (channels separated by ``;``), ``patient``, ``looked_for`` (names separated by ``;``), ``label``
(integer map, ``.seg.nrrd`` or ``NAME=mask;NAME2=mask2``), ``values`` (``1=liver;2=spleen``), ``case`` and ``modality``.
Every other column is the name of a structure and holds its mask files.  Relative paths start at the manifest.  A name
that holds a separator is written in double quotes.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from IncrementalSegLib.errors import DataError, UnknownNameError
from IncrementalSegLib.names import name_key, tame
from IncrementalSegLib.sampling.cases import IGNORE, Case, Dataset, Notes
from IncrementalSegLib.sampling.collecting import (
    Values,
    case_names,
    collected,
    named_segments,
    named_values,
    patient_of,
    read_json,
    read_text,
    united,
)  # fmt: skip
from IncrementalSegLib.sampling.modality import MODALITIES, modality_code
from IncrementalSegLib.structures import split_names
from IncrementalSegLib.volumes.io import name_of
from IncrementalSegLib.volumes.labels import is_seg
from IncrementalSegLib.volumes.notes import Note

COLUMNS = ("image", "patient", "looked_for", "label", "values", "case", "modality")
"""Codes of DICOM (PS3.3, C.7.3.1.1.1) for images that can be outlined."""

_VALUE_TABLE = "labels.json"

Rows = list[dict[str, Any]]


def open_manifest(path: Path) -> Dataset:
    """Open a CSV or JSON manifest; of the labels only the headers of files with segments are read.

    Args:
        path: The manifest. A JSON manifest is a list of rows, or ``{"labels": ..., "cases": [rows]}``.

    Raises:
        DataError: The file is no manifest, or a row cannot be understood; the message names the row.
        UnknownNameError: A row looks for a name that occurs nowhere else, or a column is none.
    """
    said: list[Note] = []
    rows, shared = _rows_of_json(path) if path.suffix.lower() == ".json" else (_rows_of_csv(path, said), None)
    if shared is None and (path.parent / _VALUE_TABLE).is_file():
        shared = named_values(read_json(path.parent / _VALUE_TABLE), path.parent / _VALUE_TABLE)
    _refuse_strange_columns(rows, path)
    names = _case_names(rows, path)
    cases, unsure = [], set()
    for number, row in enumerate(rows, start=1):
        case, undeclared = _case(row, path.parent, shared or {}, f"Row {number} of {path.name}", names[number - 1])
        cases.append(case)
        unsure |= undeclared
    declared = _declared(cases)
    for name in sorted(unsure):
        if name_key(name) not in {name_key(known) for known in declared}:
            raise UnknownNameError("label", name, declared, f"A row of {path.name} looks for it.")
    labels = [*declared, *(name for case in cases for name in sorted(case.looked_for))]
    notes: Notes = {path.name: tuple(said)} if said else {}
    return collected(path.parent.name or path.stem, path, labels, cases, notes)


def _rows_of_csv(path: Path, notes: list[Note]) -> Rows:
    text = read_text(path, notes)
    first, _, rest = text.partition("\n")
    told = first.strip().strip('"').casefold()
    if told.startswith("sep=") and len(told) == 5:  # a line for spreadsheets
        delimiter, text = told[4], rest
    else:
        # A table saved where the comma is the decimal sign has ";" or tabs between its columns.
        delimiter = max(",\t;", key=lambda mark: (first.count(mark), mark == ","))
    rows: Rows = []
    table = csv.DictReader(io.StringIO(text), delimiter=delimiter, skipinitialspace=True)
    try:
        _refuse_twin_columns(table.fieldnames or (), path)
        for row in table:
            if None in row or any(isinstance(cell, list) for cell in row.values()):
                raise DataError(
                    f"Row {len(rows) + 1} of {path.name} has more cells than the table has columns.",
                    todo='Put cells that hold the separator into quotes ("a;b").',
                )
            cells = {key.strip(): (cell or "").strip() for key, cell in row.items() if key and key.strip()}
            if any(cells.values()):
                rows.append(cells)
    except csv.Error as error:
        raise DataError(f"{path.name} cannot be read as a table ({error}).", todo="Save it as CSV in UTF-8.") from error
    return _with_images(rows, path)


def _refuse_twin_columns(headers: Iterable[str], path: Path) -> None:
    """Refuse a table with two columns of one name, of which only the last would be read."""
    counts = Counter(name_key(_column(header)) for header in headers if header.strip())
    for column, count in counts.items():
        if count > 1:
            raise DataError(
                f"{path.name} has {count} columns called {column!r}.",
                "Only one of them could be read.",
                "Rename the others, or join them to one.",
            )


def _rows_of_json(path: Path) -> tuple[Rows, Values | None]:
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


def _with_images(rows: Rows, path: Path) -> Rows:
    folded = [{_column(key): cell for key, cell in row.items()} for row in rows]
    if not folded or not any("image" in row for row in folded):
        raise DataError(
            f"{path} is not a manifest: it has no column 'image' or no row.",
            todo=f"Its columns are {', '.join(COLUMNS)}.",
        )
    return folded


def _column(header: str) -> str:
    known = name_key(header).replace(" ", "_").replace("-", "_")
    return known if known in COLUMNS else tame(header)


def _refuse_strange_columns(rows: Rows, path: Path) -> None:
    """Refuse a column that is none of a manifest, and of which no cell names a file: it is no structure either."""
    cells: dict[str, list[str]] = {}
    for row in rows:
        for column, cell in row.items():
            if column not in (*COLUMNS, "masks") and cell:
                cells.setdefault(column, []).append(str(cell))
    for column, found in cells.items():
        if not any(_is_path(cell) or (path.parent / cell).exists() for cell in found):
            raise UnknownNameError(
                f"column of {path.name}",
                column,
                COLUMNS,
                f"Any other column is a structure and holds its mask files, and {found[0]!r} is no file.",
            )


def _is_path(cell: str) -> bool:
    return "/" in cell or "\\" in cell or name_of(Path(cell)) != Path(cell).name


def _case_names(rows: Rows, path: Path) -> list[str]:
    """Return the column ``case`` of each row; where it is empty, the name of its file, or of its folder."""
    images = []
    for number, row in enumerate(rows, start=1):
        parts = _parts(row.get("image"), f"Row {number} of {path.name}")
        if not parts:
            raise DataError(f"Row {number} of {path.name} names no image.", todo="Fill the column 'image'.")
        images.append(path.parent / parts[0])
    given = [str(row.get("case") or "").strip() for row in rows]
    own = iter(case_names([image for image, name in zip(images, given, strict=True) if not name], path.parent))
    return [name or next(own) for name in given]


def _case(row: Mapping[str, Any], root: Path, shared: Values, where: str, name: str) -> tuple[Case, set[str]]:
    """Return a row's case, and the names that it looks for without declaring where they are."""
    images = tuple(root / part for part in _parts(row.get("image"), where))
    label, masks = _label(row.get("label"), root, where)
    for column, file in _mask_columns(row, root).items():
        _add_mask(masks, column, file, where)
    asked = _looked_for(row.get("looked_for"), where)
    own = _values(row.get("values"), where)
    values = own or dict(shared)
    segments = named_segments(label) if label is not None else ()
    if label is not None and not values and len(asked) == 1 and not segments and not is_seg(label):
        # One structure and no table: whatever is not zero is that structure.
        masks, label = {asked[0]: label} | masks, None
    values = {} if label is None or segments else values
    declared = [*masks]
    if label is not None:
        declared += segments or _names_in(label, values, asked, masks, where)
    spelled = {name_key(name): name for name in declared}
    looked_for = {spelled.get(name_key(name), name) for name in asked} or set(declared)
    undeclared = {name for name in looked_for if name_key(name) not in spelled}
    if undeclared and values:
        raise UnknownNameError("label", min(undeclared), declared, f"{where} looks for it.")
    case = Case(
        id=name,
        patient=patient_of(row.get("patient"), name),
        images=images,
        looked_for=frozenset(looked_for),
        label=label,
        values=values,
        masks=masks,
        complete=not own,
        holds=() if asked or (values and not own) else tuple(declared),
        modality=_modality(row.get("modality"), where),
    )
    return case, undeclared if label is None else set()


def _modality(cell: object, where: str) -> str:
    """Return the code of a modality, or nothing where the cell is empty."""
    code = modality_code(cell) if str(cell or "").strip() else ""
    if code is None:
        raise UnknownNameError("modality", str(cell), MODALITIES, f"{where} names it; the codes are those of DICOM.")
    return code


def _looked_for(cell: object, where: str) -> list[str]:
    """Return the names in a cell; none where it is empty, which means everything that the files of the case name."""
    asked = _parts(cell, where)
    if not asked and (isinstance(cell, list) or str(cell or "").strip()):
        raise DataError(
            f"{where}: looked_for is {cell!r} and names nothing.",
            "A scan in which nothing was looked for teaches nothing.",
            "Name the structures, leave the cell empty for all that its label names, or remove the row.",
        )
    return asked


def _names_in(label: Path, values: Values, asked: list[str], masks: Mapping[str, Path], where: str) -> Iterable[str]:
    """Return the structures that the table of an integer map declares."""
    in_masks = {name_key(name) for name in asked} <= {name_key(name) for name in masks}
    if not values and not is_seg(label) and not (asked and in_masks):
        raise DataError(
            f"{where}: nothing says which values of {label.name} mean which structure.",
            todo="Fill the column 'values' (1=liver;2=spleen), or put a labels.json beside the manifest.",
        )
    return [name for name in values if name != IGNORE]


def _declared(cases: Iterable[Case]) -> list[str]:
    names: dict[str, str] = {}
    for case in cases:
        values = (name for name in case.values if name != IGNORE)
        for name in (*values, *case.masks, *sorted(case.looked_for if case.label is not None else ())):
            names.setdefault(name_key(name), name)
    return list(names.values())


def _parts(cell: object, where: str) -> list[str]:
    """Return the names or paths in a cell; in quotes they may hold a semicolon."""
    if isinstance(cell, (list, tuple)):
        return [str(part).strip() for part in cell if str(part).strip()]
    parts = [name if not value else f"{name}={value}" for name, value in split_names(str(cell or ""), ";")]
    return [part for part in parts if part]


def _label(cell: object, root: Path, where: str) -> tuple[Path | None, dict[str, Path]]:
    """Read the column ``label``: a path, or ``NAME=mask;NAME2=mask2``."""
    masks: dict[str, Path] = {}
    if isinstance(cell, Mapping):
        pairs = [(str(name), str(path or "")) for name, path in cell.items()]
    else:
        text = str(cell or "").strip()
        if not text:
            return None, {}
        if "=" not in text or (root / text).exists():
            return root / text, {}
        pairs = split_names(text, ";")
    for name, path in pairs:
        if name.strip() and path.strip():
            _add_mask(masks, name, root / path.strip(), where)
    return None, masks


def _mask_columns(row: Mapping[str, Any], root: Path) -> dict[str, Path]:
    masks: dict[str, Path] = {}
    for column, cell in row.items():
        if column == "masks" and isinstance(cell, Mapping):
            masks |= {str(name): root / str(path) for name, path in cell.items() if path}
        elif column not in COLUMNS and cell:
            masks[column] = root / str(cell)
    return masks


def _add_mask(masks: dict[str, Path], name: str, file: Path, where: str) -> None:
    twin = next((known for known in masks if name_key(known) == name_key(name)), None)
    if twin is not None and masks[twin] != file:
        raise DataError(
            f"{where} gives two masks to {tame(name)!r}: {masks[twin].name} and {file.name}.",
            todo="Join them to one file.",
        )
    masks.setdefault(twin or tame(name), file)


def _values(cell: object, where: str) -> Values:
    """Read the column ``values``: ``1=liver;2=spleen`` (a name may have several values), or a JSON table."""
    if isinstance(cell, Mapping):
        return named_values(cell, Path(where))
    pairs = []
    for first, second in split_names(str(cell or ""), ";"):
        if not first and not second:
            continue
        number, name = (first, second) if first.isdigit() else (second, first)
        if not number.isdigit() or not name:
            raise DataError(f"{where} has the values {cell!r}.", todo="Write them as 1=liver;2=spleen.")
        pairs.append((name, (int(number),)))
    return united(pairs, where)
