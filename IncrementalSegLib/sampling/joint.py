"""Several data sets as one: each with a list of its own of what was looked for in it."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from IncrementalSegLib.errors import DataError, Hint, OptionError, OptionRef, UnknownNameError
from IncrementalSegLib.names import name_key
from IncrementalSegLib.sampling.cases import Case, Dataset, Notes
from IncrementalSegLib.sampling.datasets import open_cases, restrict_labels, select_cases
from IncrementalSegLib.structures import StructureSpec, specs_of

log = logging.getLogger(__name__)

Data: TypeAlias = str | Path | Dataset
Wanted: TypeAlias = str | Sequence[StructureSpec]


def listed_data(data: Data | Sequence[Data]) -> list[Data]:
    """Return one data set, or several, as a list."""
    return [data] if isinstance(data, str | Path | Dataset) else list(data)


def listed_structures(structures: Wanted | Sequence[Wanted]) -> list[list[StructureSpec]]:
    """Return the structures asked for, one list for all data sets or one for each.

    Raises:
        OptionError: A name or label occurs twice in a list, a text cannot be read, or one of several lists is empty.
    """
    if isinstance(structures, str) or all(isinstance(item, StructureSpec) for item in structures):
        return [specs_of(structures)]  # type: ignore[arg-type]
    for place, item in enumerate(structures, start=1):
        if len(structures) > 1 and (not item or (isinstance(item, str) and not item.strip(" ,"))):
            raise OptionError(
                f"List {place} of the {len(structures)} lists of structures is empty.",
                "Nothing would be looked for in its data set, so it would teach nothing.",
                "Name what was looked for there, or leave that data set out.",
            )
    return [specs_of(item) for item in structures]  # type: ignore[arg-type]


def open_joint(
    data: Data | Sequence[Data],
    structures: Wanted | Sequence[Wanted],
    cases: str | Sequence[str] | None = None,
    *,
    accept_grid: bool = False,
) -> tuple[Dataset, list[StructureSpec], dict[str, str]]:
    """Open the labelled data of a step.

    A single list counts in each of several data sets for the labels that the data set names.

    Args:
        data: One data set or several, opened or as paths.
        structures: One list for all, or one for each.
        cases: As for :func:`~.datasets.select_cases`; ``None`` keeps all.
        accept_grid: As for :func:`~.datasets.open_cases`.

    Returns:
        The cases, restricted to what was looked for; each structure once, in the order given; and label name in the
        data -> name of the structure.

    Raises:
        IncrementalSegError: As for :func:`~.datasets.restrict_labels` and :func:`~.datasets.select_cases`; a data set
            names none of the structures, the number of lists does not fit, or one label means two structures.
    """
    sets, lists = listed_data(data), listed_structures(structures)
    if len(lists) not in (1, len(sets)):
        raise OptionError(
            f"There are {len(sets)} data sets and {len(lists)} lists of structures.",
            todo="Give one list for all, or one for each.",
        )
    alone = len(sets) == 1
    opened = [open_cases(item, cases if alone else None, accept_grid=accept_grid) for item in sets]
    if not alone and len(lists) == 1:
        lists = _known_in_each(opened, lists[0])
    if alone:
        dataset = restrict_labels(opened[0], lists[0])
    else:
        _tell_spellings(opened, lists)
        dataset = _joined([restrict_labels(*pair) for pair in zip(opened, lists, strict=True)])
        dataset = dataset if cases is None else select_cases(dataset, cases)
    wanted = {name_key(item.name): item for item in reversed([item for each in lists for item in each])}
    order = dict.fromkeys(name_key(item.name) for each in lists for item in each)
    return dataset, [wanted[key] for key in order], _meanings(dataset, lists)


def _known_in_each(opened: Sequence[Dataset], wanted: Sequence[StructureSpec]) -> list[list[StructureSpec]]:
    """Return which of the structures each data set names."""
    keys = [{name_key(name) for name in dataset.names} for dataset in opened]
    for item in wanted:
        if not any(name_key(item.label) in known for known in keys):
            raise UnknownNameError("label", item.label, {name for dataset in opened for name in dataset.names})
    lists = [[item for item in wanted if name_key(item.label) in known] for known in keys]
    for dataset, found in zip(opened, lists, strict=True):
        if not found:
            raise DataError(
                f"The data set {dataset.name!r} names none of {', '.join(item.label for item in wanted)}.",
                "Nothing was looked for in it, so it teaches nothing.",
                Hint("Leave it out, or give each data set its own ", OptionRef("structures"), " (NAME=LABEL IN DATA)."),
            )
    return lists


def _tell_spellings(opened: Sequence[Dataset], lists: Sequence[Sequence[StructureSpec]]) -> None:
    """Say which labels of several data sets are taken for one although their spelling differs."""
    spellings: dict[str, dict[str, None]] = {}
    for dataset, wanted in zip(opened, lists, strict=True):
        keys = {name_key(item.label) for item in wanted}
        for name in dataset.names:
            if name_key(name) in keys:
                spellings.setdefault(name_key(name), {})[name] = None
    several = [" = ".join(map(repr, found)) for found in spellings.values() if len(found) > 1]
    if several:
        log.info("Letter case does not tell labels apart. Taken for one: %s.", "; ".join(several))


def _joined(sets: Sequence[Dataset]) -> Dataset:
    """Return several data sets as one; where two cases have one id, each is called after its data set too."""
    names = _apart([dataset.name for dataset in sets])
    counts = Counter(case.id for dataset in sets for case in dataset.cases)
    cases: list[Case] = []
    notes: Notes = {}
    for name, dataset in zip(names, sets, strict=True):
        new = {case.id: f"{name} {case.id}" if counts[case.id] > 1 else case.id for case in dataset.cases}
        cases += [replace(case, id=new[case.id], source=name) for case in dataset.cases]
        notes |= {new.get(key, key): found for key, found in dataset.notes.items()}
    labels = dict.fromkeys(name for dataset in sets for name in dataset.names)
    ordered = tuple(sorted(cases, key=lambda case: case.id))
    return Dataset(" + ".join(names), sets[0].root, tuple(labels), ordered, notes)


def _apart(names: Iterable[str]) -> list[str]:
    """Return the names with numbers behind those that occur again."""
    found: list[str] = []
    for name in names:
        number = 1
        while (called := name if number == 1 else f"{name} {number}") in found:
            number += 1
        found.append(called)
    return found


def _meanings(dataset: Dataset, lists: Sequence[Sequence[StructureSpec]]) -> dict[str, str]:
    """Return the name of the structure behind each label in the data."""
    by_key: dict[str, str] = {}
    for item in (item for each in lists for item in each):
        known = by_key.setdefault(name_key(item.label), item.name)
        if name_key(known) != name_key(item.name):
            raise OptionError(
                f"The label {item.label!r} means {known!r} in one data set and {item.name!r} in another.",
                todo="Call it differently in one of them.",
            )
    labels = sorted({label for case in dataset.cases for label in case.looked_for})
    return {label: by_key[name_key(label)] for label in labels}
