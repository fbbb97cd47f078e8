"""Parts that all readers of data sets share: texts, tables of values, names of cases, the finished data set."""

from __future__ import annotations

import codecs
import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from IncrementalSegLib.errors import DataError
from IncrementalSegLib.names import name_key, tame
from IncrementalSegLib.sampling.cases import IGNORE, Case, Dataset, Notes
from IncrementalSegLib.volumes import metaimage, nifti, pictures
from IncrementalSegLib.volumes.io import name_of
from IncrementalSegLib.volumes.labels import segment_names
from IncrementalSegLib.volumes.notes import Note
from IncrementalSegLib.volumes.payload import is_there

Values = dict[str, tuple[int, ...]]
"""Label name -> values in an integer map."""


_WITHOUT_SEGMENTS = (*nifti.ENDINGS, *metaimage.ENDINGS, *pictures.ENDINGS)
"""Endings of files that name no segments; of DICOM files the names end in anything."""


def read_text(path: Path, notes: list[Note] | None = None) -> str:
    """Read a text in UTF-8, UTF-16 with its mark, or else Windows-1252, however its lines end.

    Args:
        path: The file.
        notes: An encoding that was assumed is appended here.

    Raises:
        DataError: It cannot be read, or is no text.
    """
    try:
        data = path.read_bytes()
        if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            text = data.decode("utf-16")
        elif b"\0" in data:
            raise DataError(f"{path} is not a text file: it holds zero bytes.", todo="Save the table as CSV in UTF-8.")
        else:
            text = _of_bytes(data, path, notes)
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read ({error}).", todo="Save it as text in UTF-8.") from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file in UTF-8, UTF-16 or UTF-32.

    Raises:
        DataError: It cannot be read, is no JSON, or an object in it has a key twice.
    """
    try:
        return json.loads(path.read_bytes(), object_pairs_hook=lambda pairs: _each_once(pairs, path))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path} cannot be read as JSON ({error}).", todo="Correct the file.") from error


def named_values(labels: object, source: Path) -> Values:
    """Read a table of label names in either direction: name -> value(s), or value -> name.

    Args:
        labels: The table; the value 0 is the background and no structure.  Values of one name are united.
        source: Its file, for the message.

    Returns:
        Name -> values, in the order of the values.

    Raises:
        DataError: It is no such table.
    """
    if not isinstance(labels, Mapping) or not labels:
        raise DataError(
            f"{source} has no table of labels.", todo='Add "labels", for example {"liver": 1, "spleen": 2}.'
        )
    found: list[tuple[str, tuple[int, ...]]] = []
    for key, entry in labels.items():
        is_value = isinstance(key, int) or (isinstance(key, str) and key.strip().isdigit() and isinstance(entry, str))
        name, numbers = (entry, key) if is_value else (key, entry)
        numbers = list(numbers) if isinstance(numbers, (list, tuple)) else [numbers]
        found.append((str(name), tuple(_whole(number, str(name), source) for number in numbers)))
    return united(found, str(source))


def united(pairs: Iterable[tuple[str, tuple[int, ...]]], where: str) -> Values:
    """Return a table from names and their values; a name that occurs twice has the values of both.

    Raises:
        DataError: A structure has the value 0 beside others, which is the background, or no name, or two names with
            values of their own differ in letter case alone.
    """
    values: dict[str, tuple[str, tuple[int, ...]]] = {}
    for raw, numbers in pairs:
        name = IGNORE if name_key(raw) == IGNORE else tame(raw)
        if not any(numbers):
            continue
        if 0 in numbers:
            raise DataError(
                f"{where} gives {name!r} the values {', '.join(map(str, numbers))}.",
                "0 is the background.",
                "Leave out the 0.",
            )
        if not name:
            raise DataError(
                f"{where} gives no name to the value {', '.join(map(str, numbers))}.",
                todo="Name the structure, or leave the value out.",
            )
        first, known = values.get(name_key(name), (name, ()))
        if first != name and {*known} != {*numbers}:
            raise DataError(
                f"{where} gives {first!r} the value {known[0]} and {name!r} the value {numbers[0]}.",
                "Letter case does not tell names apart.",
                "Spell one structure in one way, and give two structures other names.",
            )
        values[name_key(name)] = (first, tuple(dict.fromkeys((*known, *numbers))))
    return dict(sorted(values.values(), key=lambda item: (min(item[1]), len(item[1]))))


def named_segments(label: Path) -> tuple[str, ...]:
    """Return the names of the segments that a file itself holds; empty for other files and for one that is broken."""
    if label.name.lower().endswith(_WITHOUT_SEGMENTS) or not is_there(label):
        return ()
    try:
        return segment_names(label)
    except DataError:  # said by the check of its case
        return ()


def patient_of(cell: object, case: str) -> str:
    """Return the patient of a case: what a cell or field says, or where it is empty or null the case itself."""
    return ("" if cell is None else str(cell).strip()) or case


def case_names(images: Sequence[Path], root: Path) -> list[str]:
    """Return a name for each image: the file's; where these repeat, that of a folder, or both.

    Args:
        images: The first image of each case.
        root: The folder of the data set.

    Example:
        >>> case_names([Path("d/p01/image.nii.gz"), Path("d/p02/image.nii.gz")], Path("d"))
        ['p01', 'p02']
    """
    names = [name_of(image) for image in images]
    if len(set(names)) == len(names):
        return names
    paths = [_below(image.parent, root) for image in images]
    for up in range(1, min(map(len, paths), default=0) + 1):
        folders = [path[-up] for path in paths]
        if len(set(folders)) == len(folders):
            return folders
    both = ["-".join((*path[-1:], name)) for path, name in zip(paths, names, strict=True)]
    whole = ["-".join((*path, name)) for path, name in zip(paths, names, strict=True)]
    return next((found for found in (both, whole) if len(set(found)) == len(found)), names)


def collected(
    name: str, root: Path, names: Iterable[str], cases: Iterable[Case], notes: Notes | None = None
) -> Dataset:
    """Return the cases as a data set, sorted by id, with each label spelled in one way; other spellings are noted.

    Raises:
        DataError: No case, or two of one name.
    """
    ordered = sorted(cases, key=lambda case: case.id)
    if not ordered:
        raise DataError(f"{root} holds no case with an image and a label.", todo="Add cases, or name another folder.")
    for first, second in itertools.pairwise(ordered):
        if first.id == second.id:
            raise DataError(f"Two cases in {root} are called {first.id!r}.", todo="Give each case its own name.")
    every = itertools.chain(names, *((*case.looked_for, *case.values, *case.masks) for case in ordered))
    spellings: dict[str, dict[str, None]] = {}
    for label in every:
        spellings.setdefault(name_key(label), {})[tame(label)] = None
    spelled = {key: next(iter(found)) for key, found in spellings.items()}
    listed = dict.fromkeys(spelled[name_key(label)] for label in names)
    notes = dict(notes or {})
    several = [" and ".join(map(repr, found)) for found in spellings.values() if len(found) > 1]
    if several:
        said = f"{'; '.join(several)} are taken for one label: letter case does not tell names apart."
        notes[root.name] = (*notes.get(root.name, ()), Note("spelling", said))
    return Dataset(name, root, tuple(listed), tuple(respelled(case, spelled) for case in ordered), notes)


def respelled(case: Case, spelled: Mapping[str, str]) -> Case:
    """Return a case with its labels spelled as in a table from :func:`~.structures.name_key` to spelling."""
    return replace(
        case,
        looked_for=frozenset(spelled.get(name_key(name), name) for name in case.looked_for),
        values={spelled.get(name_key(name), name): values for name, values in case.values.items()},
        masks={spelled.get(name_key(name), name): path for name, path in case.masks.items()},
    )


def _of_bytes(data: bytes, path: Path, notes: list[Note] | None) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("cp1252")
    if notes is not None:
        odd = next(line for line in text.splitlines() if not line.isascii())
        said = f"{path.name} is not UTF-8 and was read as Windows-1252: check that {odd.strip()[:80]!r} is right."
        notes.append(Note("encoding", said))
    return text


def _each_once(pairs: list[tuple[str, Any]], path: Path) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise DataError(f"{path} has {twice!r} twice in one object.", todo="Name it once; several values are [1, 2].")
    return found


def _whole(number: object, name: str, source: Path) -> int:
    try:
        found = int(number)  # type: ignore[call-overload]
        if isinstance(number, bool) or (isinstance(number, float) and found != number):
            raise ValueError
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(
            f"{source} gives the label {name!r} the value {number!r}.", todo="Values are whole numbers."
        ) from error
    return int(found)


def _below(folder: Path, root: Path) -> tuple[str, ...]:
    try:
        return folder.resolve().relative_to(root.resolve()).parts
    except ValueError:  # elsewhere
        return folder.resolve().parts[1:]
